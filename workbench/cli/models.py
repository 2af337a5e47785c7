"""`workbench models`: the catalog of model versions, what is known of them, what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from app.core.errors import Invalid, NotFound, Unavailable
from app.core.fact_settings import parse_fact_setting
from app.llm.errors import LLMError, UnknownModel
from app.llm.providers import ModelReport
from app.llm.types import ModelTarget
from app.schemas.models import (
    ModelDeclaration,
    ModelVersionView,
    PriceDeclaration,
    parse_model_reference,
    read_time,
)
from app.services.models import Declared
from workbench.cli.context import (
    FormatOption,
    Workspace,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.model_texts import (
    change_lines,
    fact_rows,
    limit_text,
    model_json,
    overview_rows,
    price_rows,
    price_text,
    remark,
)
from workbench.cli.tables import COLUMN_GAP, plain_table
from workbench.workspace.models_file import MODELS_FILE, read_models_file

__all__ = ["app"]

app = typer.Typer(
    help="The model catalog: sync, list, show, add, set, probe, price, retire.",
    no_args_is_help=True,
    add_completion=False,
)

Reference = Annotated[
    str, typer.Argument(metavar="MODEL", help="As in openai/gpt-4.1 or openai/gpt-4.1@1.")
]
ContextWindow = Annotated[
    int | None, typer.Option(min=1, help="Tokens that fit, input and output together.")
]
MaxOutputTokens = Annotated[int | None, typer.Option(min=1, help="The longest answer, in tokens.")]


@app.command()
@command
async def sync(
    file: Annotated[
        Path | None, typer.Argument(help=f"Default: {MODELS_FILE} in the workspace.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
) -> None:
    """Bring the catalog to what models.yaml says: all of the file or nothing."""
    async with open_workspace() as workspace:
        path = file or workspace.root / MODELS_FILE
        if not path.is_file():
            raise NotFound(
                f"There is no file {path}.",
                hint="A model can also be added by itself: workbench models add openai/gpt-4.1",
            )
        declarations = read_models_file(path, source=str(file) if file else MODELS_FILE)
        if not declarations:
            out().print(f"{escape(path.name)} names no model.")
            return
        done = await workspace.services.models.declare_all(
            workspace.actor, declarations, dry_run=dry_run
        )
    for declared in done:
        _print_declared(declared)
    counts = {change: sum(d.change == change for d in done) for change in _CHANGES}
    told = ", ".join(f"{count} {change}" for change, count in counts.items() if count)
    out().print(f"{len(done)} in {escape(path.name)}: {told}.")
    if dry_run:
        err().print("Dry run: nothing was written.")


_CHANGES = ("added", "new version", "updated", "unchanged")


@app.command("list")
@command
async def list_(
    everything: Annotated[
        bool, typer.Option("--all", help="Earlier and retired versions too.")
    ] = False,
    format_: FormatOption = "text",
) -> None:
    """List the model versions: for each model the one that its name stands for."""
    async with open_workspace() as workspace:
        versions = await workspace.services.models.list()
    shown = versions if everything else _current(versions)
    if format_ == "json":
        print_json([model_json(version) for version in shown])
        return
    if not shown:
        hidden = " (retired ones: --all)" if versions else ""
        out().print(
            f"No model in the catalog{hidden}. Add one: workbench models add openai/gpt-4.1"
        )
        return
    table = plain_table("model", "most output", "$ in", "$ out", "remarks")
    for number in (1, 2, 3):
        table.columns[number].justify = "right"
    for version in shown:
        price = version.price
        table.add_row(
            escape(version.reference),
            limit_text(version.facts.max_output_tokens),
            price_text(price.input if price else None),
            price_text(price.output if price else None),
            escape(remark(version)),
        )
    out().print(table)
    out().print("[dim]$ are US dollars per million tokens.[/]")


def _current(versions: list[ModelVersionView]) -> list[ModelVersionView]:
    """The latest version of each model that is not retired, in their order."""
    latest = {v.model: v for v in versions if v.status != "retired"}  # numbers ascend
    return list(latest.values())


@app.command()
@command
async def show(model: Reference, format_: FormatOption = "text") -> None:
    """Show one version: what it calls, limits, parameter facts, prices."""
    async with open_workspace() as workspace:
        services = workspace.services
        version = await services.models.get(model)
        prices = await services.models.prices(version)
    if format_ == "json":
        shape: dict[str, Any] = model_json(version)
        shape["prices"] = [price.model_dump(mode="json") for price in prices]
        print_json(shape)
        return
    console = out()
    console.print(f"[bold]{escape(version.reference)}[/]")
    _print_rows(overview_rows(version))
    console.print("\n[bold]Parameters[/]")
    _print_rows(fact_rows(version.facts))
    console.print("[dim]Other parameters are sent as asked, within the usual bounds.[/]")
    if prices:
        console.print("\n[bold]Prices[/], US dollars per million tokens")
        table = plain_table("from", "until", "in", "cached in", "out", "source")
        for row in price_rows(prices, version.price):
            table.add_row(*row)
        console.print(table)


@app.command()
@command
async def add(
    model: Reference,
    endpoint: Annotated[
        str | None, typer.Option(help="An endpoint of the settings (default: the provider's).")
    ] = None,
    provider_model: Annotated[
        str | None, typer.Option(help="The provider's own name of it (default: the same).")
    ] = None,
    context_window: ContextWindow = None,
    max_output_tokens: MaxOutputTokens = None,
) -> None:
    """Add a model, or change what the catalog says of it."""
    declaration = _declaration(
        model=str(parse_model_reference(model)),
        endpoint=endpoint,
        provider_model=provider_model,
        context_window=context_window,
        max_output_tokens=max_output_tokens,
    )
    async with open_workspace() as workspace:
        declared = await workspace.services.models.declare(workspace.actor, declaration)
    _print_declared(declared)


@app.command("set")
@command
async def set_(
    model: Reference,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=unsupported, supported, fixed:V, min:V, max:V, default:V, wire:NAME "
            "or exclusive:NAME."
        ),
    ] = None,
    context_window: ContextWindow = None,
    max_output_tokens: MaxOutputTokens = None,
) -> None:
    """Change what is known of a version, such as a parameter that its provider refuses.

    Example: workbench models set openai/gpt-5 --parameter temperature=unsupported
    """
    if not parameter and context_window is None and max_output_tokens is None:
        raise Invalid("Nothing to set: give --parameter, --context-window or --max-output-tokens.")
    settings = [parse_fact_setting(text) for text in parameter or ()]
    async with open_workspace() as workspace:
        declared = await workspace.services.models.set_facts(
            workspace.actor,
            model,
            settings,
            context_window=context_window,
            max_output_tokens=max_output_tokens,
        )
    _print_declared(declared)


@app.command()
@command
async def probe(model: Reference) -> None:
    """Ask the provider whether it has the model; record the digest that it reports.

    Nothing is generated. An unknown model is added to the catalog first.
    """
    async with open_workspace() as workspace:
        services = workspace.services
        version, note = await services.models.resolve(workspace.actor, model, add_missing=True)
        if note:
            err().print(escape(note))
        report = await _ask(workspace, version)
        declared = await services.models.record_report(workspace.actor, version, report)
    found = f"{version.reference}: endpoint {version.endpoint} has {report.provider_model}"
    digest = f", digest {report.digest}" if report.digest else ""
    out().print(escape(f"{found}{digest}."))
    if declared.change != "unchanged":
        _print_declared(declared)


async def _ask(workspace: Workspace, version: ModelVersionView) -> ModelReport:
    client = workspace.services.llm_client([version.endpoint])
    target = ModelTarget(version.provider, version.endpoint, version.provider_model)
    try:
        return await client.probe(target)
    except UnknownModel as error:
        raise NotFound(
            f"The endpoint {version.endpoint} has no model {version.provider_model!r}.",
            hint=error.message,
        ) from None
    except LLMError as error:
        raise Unavailable(
            f"The endpoint {version.endpoint} gave no answer: {error.message}"
        ) from None
    finally:
        await client.close()


@app.command()
@command
async def price(
    model: Reference,
    input_: Annotated[str, typer.Option("--input", help="US dollars per million tokens.")],
    output: Annotated[str, typer.Option(help="US dollars per million tokens.")],
    cached_input: Annotated[
        str | None, typer.Option(help="For input from the provider's cache (default: as input).")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="Valid from (default: now).")
    ] = None,
) -> None:
    """Record a price of your own; it overrides the list's from then on."""
    async with open_workspace() as workspace:
        declared = _price(
            {
                "from": from_ or workspace.services.clock.now(),
                "input": input_,
                "cached_input": cached_input,
                "output": output,
            }
        )
        version = await workspace.services.models.add_price(workspace.actor, model, declared)
    cached = f", {price_text(declared.cached_input)} cached" if cached_input is not None else ""
    out().print(
        escape(
            f"{version.reference}: {price_text(declared.input)} in{cached}, "
            f"{price_text(declared.output)} out per million tokens from "
            f"{declared.valid_from:%Y-%m-%d %H:%M} UTC."
        )
    )


@app.command()
@command
async def retire(
    model: Reference,
    successor: Annotated[
        str | None, typer.Option(metavar="MODEL", help="What to use in its place.")
    ] = None,
    sunset: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Until then it is deprecated and still works."),
    ] = None,
) -> None:
    """Retire a version: its name stands for it no more; what was run on it stays."""
    async with open_workspace() as workspace:
        declared = await workspace.services.models.retire(
            workspace.actor, model, sunset=_time(sunset), successor=successor
        )
    _print_declared(declared)


def _time(text: str | None) -> Any:
    try:
        return read_time(text)
    except ValueError as error:
        raise Invalid(f"{error}.") from None


def _declaration(**fields: Any) -> ModelDeclaration:
    try:
        return ModelDeclaration.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error) from None


def _price(fields: dict[str, Any]) -> PriceDeclaration:
    try:
        return PriceDeclaration.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> Invalid:
    first = error.errors()[0]
    option = str(first["loc"][0]).replace("_", "-") if first["loc"] else ""
    told = first["msg"].removeprefix("Value error, ")
    return Invalid(f"{option}: {told}." if option not in ("", "model") else f"{told}.")


def _print_declared(declared: Declared) -> None:
    for line in change_lines(declared):
        out().print(escape(line))


def _print_rows(rows: list[tuple[str, str]]) -> None:
    table = Table.grid(padding=(0, COLUMN_GAP, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(f"  {escape(name)}", escape(text))
    out().print(table)
