"""YAML as we write it: one byte form for a value, which `strict_yaml` reads back as that value.

Texts of several lines stand as literal blocks (`|`), short collections of plain values on
one line. A text that a block would not keep (trailing spaces, control characters, unusual
line ends) is written in double quotes. Whatever some YAML reader takes for a number, a date
or a truth value is quoted.
"""

from __future__ import annotations

import re

import yaml
from yaml.emitter import ScalarAnalysis

from app.core.hashing import JSON

__all__ = ["dump_yaml"]

_ONE_LINE = 72  # characters of keys and values that may share a line
_NOT_IN_BLOCK = re.compile(
    r"[ \t]\n|[ \t]\Z"  # an editor would cut these spaces off
    r"|\A\t"  # libyaml looks for the indentation there
    r"|[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # not printable
    r"|[\u2028\u2029]"  # line ends in YAML 1.1, letters in YAML 1.2
)
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|0o[0-7]+$")


def dump_yaml(value: JSON) -> str:
    """Return the text of one document, with keys in their order and a line end at the end."""
    return str(
        yaml.dump(
            value,
            Dumper=_Dumper,
            allow_unicode=True,
            sort_keys=False,
            width=2**31,
            default_flow_style=False,
        )
    )


class _Dumper(yaml.SafeDumper):
    """The safe dumper with our rules of style."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def serialize(self, node: yaml.Node) -> None:
        """Give each entry of the document itself a line of its own."""
        if isinstance(node, yaml.CollectionNode):
            node.flow_style = not node.value
        super().serialize(node)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent the items of a list below their key."""
        super().increase_indent(flow, False)

    def analyze_scalar(self, scalar: str) -> ScalarAnalysis:
        """Let a tab stand in a literal block, where it is a character like others."""
        analysis = super().analyze_scalar(scalar.replace("\t", "x"))
        analysis.scalar = scalar
        if "\t" in scalar:
            analysis.allow_flow_plain = analysis.allow_block_plain = False
            analysis.allow_single_quoted = False
        return analysis

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = None
        if "\n" in text:
            style = '"' if _NOT_IN_BLOCK.search(text) else "|"
        elif _NOT_IN_BLOCK.search(text.rstrip(" ")):
            style = '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def represent_collection(self, value: dict[str, JSON] | list[JSON]) -> yaml.Node:
        node: yaml.MappingNode | yaml.SequenceNode
        if isinstance(value, dict):
            node = self.represent_mapping("tag:yaml.org,2002:map", value)
            parts = [part for pair in node.value for part in pair]
        else:
            node = self.represent_sequence("tag:yaml.org,2002:seq", value)
            parts = node.value
        plain = all(isinstance(part, yaml.ScalarNode) and part.style is None for part in parts)
        node.flow_style = plain and sum(len(part.value) + 2 for part in parts) <= _ONE_LINE
        return node


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(dict, _Dumper.represent_collection)
_Dumper.add_representer(list, _Dumper.represent_collection)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))
