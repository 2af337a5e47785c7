"""`workbench limits`: what keys, users and aliases may use of requests, tokens and money."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import typer
from rich.markup import escape

from app.core.errors import Invalid
from app.core.usage_limits import HolderKind
from app.schemas.limits import MAX_DOLLARS, LimitValues, LimitView, WindowView
from workbench.cli.context import FormatOption, command, open_workspace, out, print_json
from workbench.cli.tables import plain_table, print_with_whole_names

__all__ = ["app"]

app = typer.Typer(
    help="Limits: list, show, set, remove.", no_args_is_help=True, add_completion=False
)

KindArgument = Annotated[HolderKind, typer.Argument(help="key, user or alias.")]
NameArgument = Annotated[str, typer.Argument(help="As in support-bot@production.")]


@app.command("list")
@command
async def list_(format_: FormatOption = "text") -> None:
    """List every limit."""
    async with open_workspace() as workspace:
        found = await workspace.services.limits.all(workspace.actor)
    if format_ == "json":
        print_json([limit.model_dump(mode="json") for limit in found])
        return
    if not found:
        out().print("No limit yet. Set one: workbench limits set key NAME --requests-per-minute 60")
        return
    table = plain_table(
        "of", "name", "requests/min", "tokens/min", "$/day", "$/month", "when reached"
    )
    for limit in found:
        table.add_row(
            limit.holder_kind,
            escape(limit.holder),
            _count(limit.requests_per_minute),
            _count(limit.tokens_per_minute),
            _dollars(limit.dollars_per_day),
            _dollars(limit.dollars_per_month),
            "refuse" if limit.on_reach == "stop" else "serve and tell",
        )
    print_with_whole_names(out(), table, columns=2)


@app.command()
@command
async def show(kind: KindArgument, name: NameArgument, format_: FormatOption = "text") -> None:
    """Show the limits of one holder, and what of them is used."""
    async with open_workspace() as workspace:
        found = await workspace.services.limits.get(workspace.actor, kind, name)
    if format_ == "json":
        print_json(found.model_dump(mode="json"))
    else:
        _print(found)


@app.command("set")
@command
async def set_(
    kind: KindArgument,
    name: NameArgument,
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_minute: Annotated[
        int | None, typer.Option(min=1, help="In and out; reserved at worst case.")
    ] = None,
    dollars_per_day: Annotated[
        str | None, typer.Option(help="As in 5 or 0.50; days of UTC.")
    ] = None,
    dollars_per_month: Annotated[str | None, typer.Option(help="As in 100.")] = None,
    on_reach: Annotated[
        Literal["stop", "warn"] | None,
        typer.Option(help="stop refuses; warn serves and tells (aliases in production: warn)."),
    ] = None,
    format_: FormatOption = "text",
) -> None:
    """Set the limits of a holder, in place of those it had.

    Examples:

      workbench limits set key shop --requests-per-minute 60 --dollars-per-day 5

      workbench limits set alias support-bot@production --dollars-per-month 200 --on-reach stop
    """
    values = LimitValues(
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        dollars_per_day=_amount("dollars-per-day", dollars_per_day),
        dollars_per_month=_amount("dollars-per-month", dollars_per_month),
        on_reach=on_reach,
    )
    async with open_workspace() as workspace:
        found = await workspace.services.limits.set(workspace.actor, kind, name, values)
    if format_ == "json":
        print_json(found.model_dump(mode="json"))
    else:
        _print(found)


@app.command()
@command
async def remove(kind: KindArgument, name: NameArgument) -> None:
    """Take the limits of a holder away."""
    async with open_workspace() as workspace:
        await workspace.services.limits.remove(workspace.actor, kind, name)
    out().print(f"The {kind} {escape(name)} has no limits now.")


def _amount(option: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    exponent = amount.as_tuple().exponent
    # What is no number has no exponent, and cannot be compared.
    if not isinstance(exponent, int) or exponent < -10 or not 0 <= amount <= MAX_DOLLARS:
        raise Invalid(f"--{option} must be dollars, as in 5 or 0.50, not {text!r}.", path=option)
    return amount


def _print(limit: LimitView) -> None:
    reached = "refuses" if limit.on_reach == "stop" else "serves and tells"
    out().print(
        f"[bold]{limit.holder_kind} {escape(limit.holder)}[/] {reached} what is beyond its limits"
    )
    windows = {window.span: window for window in limit.windows}
    minute = windows.get("minute")
    rows = (
        ("requests a minute", _count(limit.requests_per_minute), _used_requests(minute)),
        ("tokens a minute", _count(limit.tokens_per_minute), _used_tokens(minute)),
        ("dollars a day", _dollars(limit.dollars_per_day), _used_money(windows.get("day"))),
        ("dollars a month", _dollars(limit.dollars_per_month), _used_money(windows.get("month"))),
    )
    table = plain_table("limit", "at most", "used now")
    for name, most, used in rows:
        if most != "-":
            table.add_row(name, most, used)
    out().print(table)
    out().print(f"[dim]set {limit.updated_at:%Y-%m-%d %H:%M} UTC, {escape(limit.updated_by)}[/]")


def _used_requests(window: WindowView | None) -> str:
    return "0" if window is None else f"{window.requests:,}"


def _used_tokens(window: WindowView | None) -> str:
    if window is None:
        return "0"
    reserved = f" + {window.reserved_tokens:,} reserved" if window.reserved_tokens else ""
    return f"{window.tokens:,}{reserved}"


def _used_money(window: WindowView | None) -> str:
    if window is None:
        return "$0"
    reserved = f" + ${window.reserved:.4f} reserved" if window.reserved else ""
    return f"${window.spent:.4f}{reserved}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _dollars(value: Decimal | None) -> str:
    return "-" if value is None else f"${value.normalize():f}"
