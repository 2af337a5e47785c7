"""`workbench variants`: prompt version + model version + parameters, and where each came from."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from app.schemas.variants import NewVariant, VariantView
from workbench.cli.context import FormatOption, command, open_workspace, out, print_json
from workbench.cli.run_options import ParameterOption, parse_pairs
from workbench.cli.tables import plain_table, print_with_whole_names

__all__ = ["app"]

app = typer.Typer(help="Variants: list, show, make.", no_args_is_help=True, add_completion=False)

_LAYERS = {
    "request": "experiment",
    "prompt": "prompt version",
    "model": "model version",
    "house": "house default",
}


@app.command("list")
@command
async def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    format_: FormatOption = "text",
) -> None:
    """List the newest variants."""
    async with open_workspace() as workspace:
        variants = await workspace.services.variants.list(limit=limit)
    if format_ == "json":
        print_json([_json(variant) for variant in variants])
        return
    if not variants:
        out().print(
            "No variant yet. An experiment makes them; or: workbench variants make PROMPT MODEL"
        )
        return
    table = plain_table("variant", "prompt", "model", "parameters asked for")
    for variant in variants:
        asked = " ".join(f"{name}={value}" for name, value in variant.asked.items())
        table.add_row(
            variant.short_hash, escape(variant.prompt), escape(variant.model), escape(asked)
        )
    print_with_whole_names(out(), table, columns=3)


@app.command()
@command
async def show(
    variant: Annotated[str, typer.Argument(help="The beginning of its hash, or its id.")],
    format_: FormatOption = "text",
) -> None:
    """Show one variant: which layer each parameter came from, what is sent and what is not."""
    async with open_workspace() as workspace:
        found = await workspace.services.variants.get(variant)
    if format_ == "json":
        print_json(_json(found))
        return
    _print(found)


@app.command()
@command
async def make(
    prompt: Annotated[str, typer.Argument(help="A numbered version: support-bot@1.")],
    model: Annotated[str, typer.Argument(help="A model of the catalog: openai/gpt-4.1@1.")],
    parameter: ParameterOption = None,
    format_: FormatOption = "text",
) -> None:
    """Make the variant of a prompt and a model, to serve it without an experiment before.

    One that is there already is shown. Parameters are asked for before those of the prompt version.

    Example: workbench variants make support-bot@1 openai/gpt-4.1@1 --parameter temperature=0
    """
    new = NewVariant(prompt=prompt, model=model, parameters=parse_pairs(parameter, "--parameter"))
    async with open_workspace() as workspace:
        made = await workspace.services.variant_making.make(workspace.actor, new)
    if format_ == "json":
        print_json(_json(made.variant))
        return
    _print(made.variant)


def _print(found: VariantView) -> None:
    console = out()
    console.print(f"[bold]{found.short_hash}[/]  {escape(found.prompt)} + {escape(found.model)}")
    console.print(f"[dim]{found.content_hash}, {found.created_at:%Y-%m-%d %H:%M} UTC[/]\n")
    table = plain_table("parameter", "asked for", "from", "sent")
    sent = _sent(found)
    for name, value in found.asked.items():
        table.add_row(
            escape(name),
            escape(str(value)),
            _LAYERS[found.sources[name]],
            escape(sent[name]),
        )
    console.print(table)
    console.print(
        "[dim]The first layer that names a parameter wins: experiment, prompt version, model "
        "version, house default.[/]"
    )
    for name, why in found.refused.items():
        told = f"{name} was asked for by the experiment: {why}."
        console.print(f"[bold red]Cannot run:[/] {escape(told)}")


def _sent(variant: VariantView) -> dict[str, str]:
    """For each parameter what reaches the provider, or why it does not."""
    kept = [name for name in variant.asked if name not in variant.left_out]
    # `applied` has the same values in the same order, under the provider's names.
    wires = dict(zip(kept, variant.applied, strict=True))
    return {
        name: f"no: {variant.left_out[name]}"
        if name in variant.left_out
        else ("yes" if wires[name] == name else f"yes, as {wires[name]}")
        for name in variant.asked
    }


def _json(variant: VariantView) -> dict[str, Any]:
    return {**variant.model_dump(mode="json"), "refused": variant.refused}
