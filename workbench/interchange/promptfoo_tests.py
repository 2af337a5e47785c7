"""The tests of a promptfoo configuration, inline or from files, as examples with checks.

`defaultTest` is merged into every test, lists of texts among `vars` are written out as
combinations, and `{{ name }}` in values and assertions is filled in for each test. A test file
is read only if the user named it; what a configuration merely points to is named as a loss.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from app.core.errors import Invalid
from app.core.hashing import JSON
from workbench.interchange.evaluations import ForeignFile, check_count
from workbench.interchange.foreign_json import MAX_BYTES, parse_foreign_json
from workbench.interchange.foreign_yaml import parse_foreign_yaml
from workbench.interchange.losses import FieldPath, Source, path_text
from workbench.interchange.promptfoo_assertions import (
    JUDGED,
    NotFilled,
    Place,
    assertion,
    assertion_set,
    filled,
    is_amount,
    is_kind,
    names_a_file,
)
from workbench.scorers.checks import CHECKS_FIELD, MAX_CHECKS

__all__ = ["RESERVED_METADATA", "TEST_REASONS", "Judged", "TestCase", "read_tests"]

RESERVED_METADATA: Final = frozenset({CHECKS_FIELD, "description"})
"""Names in an example's metadata to which the import itself gives a meaning."""

_MAX_ROWS: Final = 100_000
_TEMPLATES: Final = "#/assertionTemplates/"
_VALUE_PASSES: Final = 3  # values may use values that use values
_TEST_FIELDS: Final = MappingProxyType(
    {
        "provider": "every model answers every example here",
        "providers": "every model answers every example here",
        "prompts": "every prompt is asked about every example here",
        "assertScoringFunction": "it is code, and nothing of a file is run here",
        "providerOutput": "recorded outputs are brought in with workbench runs import",
        "options": "there is no such option here",
        "vars": "files are never opened: write the values here",
        "assert": "there is no such field of an assertion here, or it is in a file",
    }
)
TEST_REASONS: Final = MappingProxyType(
    {
        f"{place}.{name}": why
        for place in ("tests", "defaultTest")
        for name, why in _TEST_FIELDS.items()
    }
)
"""Why fields of tests have no counterpart, by their paths in a configuration."""

_CSV_TYPED: Final = re.compile(
    r"(?P<kind>(?:not-)?[a-z][a-z0-9-]*[a-z0-9])(?:\((?P<threshold>\d+(?:\.\d+)?)\))?"
    r"(?::(?P<value>.*))?",
    re.DOTALL,
)
_CSV_CODE: Final = re.compile(r"(javascript|fn|eval|python|file):")
_CSV_THRESHOLDS: Final = frozenset(
    {"answer-relevance", "context-faithfulness", "cost", "latency", "levenshtein", "rouge-n",
     "starts-with", "similar"}
)  # fmt: skip
_CSV_DEFAULT_THRESHOLD: Final = 0.75


@dataclass(frozen=True)
class Judged:
    """An assertion that a model judges: what it asks, and who is to judge if that is said."""

    kind: str
    value: str
    provider: JSON
    place: Place
    threshold: JSON = None


@dataclass
class TestCase:
    """One test with its own values put in everywhere."""

    variables: dict[str, JSON]
    checks: list[dict[str, JSON]] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    threshold: JSON = None
    description: str = ""
    metadata: dict[str, JSON] = field(default_factory=dict)
    prefix: str = ""
    suffix: str = ""
    left_out: int = 0
    """Assertions that became neither a check nor a judge's question."""

    @property
    def example_checks(self) -> JSON:
        """The checks as an example's metadata holds them; None if there are none."""
        if not self.checks:
            return None
        if self.threshold is None:
            return list(self.checks)
        return {"threshold": self.threshold, "checks": list(self.checks)}


@dataclass(frozen=True)
class _Row:
    """One test as it is written. `cells` says that its assertions come from a table."""

    shape: Mapping[str, JSON]
    source: Source
    path: FieldPath
    assertions: Sequence[tuple[JSON, Place]]


def read_tests(
    config: Source, files: Sequence[ForeignFile], tools: JSON
) -> tuple[list[TestCase], list[tuple[str, Source]]]:
    """Return all tests, and the source of each test file by its name.

    Raises `Invalid` for files that cannot be read and for more combinations or assertions of
    one test than are taken.
    """
    sources: dict[str, Source] = {}
    rows = list(_all_rows(config, files, sources))
    default = _Row({}, config, ("defaultTest",), ())
    shape = config.at("defaultTest")
    if isinstance(shape, Mapping):
        default = _yaml_row(config, ("defaultTest",), config)
    elif shape is not None:
        config.lose(("defaultTest",), "files are never opened: write the default test here")
    count = 0
    cases: list[TestCase] = []
    if not rows and config.at("tests") is None:
        rows = [_Row({}, config, ("tests",), ())]  # promptfoo then asks once, with no values
    for row in rows:
        reader = _CaseReader(row, default, tools)
        reader.check_assertions()
        combinations = reader.combinations()
        count += math.prod(len(values) for values in combinations.values())
        check_count(count)
        names = list(combinations)
        cases += [
            reader.case(dict(zip(names, values, strict=True)))
            for values in itertools.product(*combinations.values())
        ]
    _name_unused_templates(config)
    return cases, list(sources.items())


def _name_unused_templates(config: Source) -> None:
    left = set(config.uncovered())
    for name in config.keys("assertionTemplates"):
        if ("assertionTemplates", name, "type") in left:
            config.lose(("assertionTemplates", name), "no test uses it")


# Where tests stand


def _all_rows(
    config: Source, files: Sequence[ForeignFile], sources: dict[str, Source]
) -> Iterator[_Row]:
    waiting = {file.base: file for file in files}
    tests = config.at("tests")
    places: list[FieldPath] = [("tests",)]
    if isinstance(tests, (list, tuple)):
        places = [("tests", index) for index in range(len(tests))]
    elif tests is None:
        places = []
    for path in places:
        told = config.at(*path)
        reference = told.get("path") if isinstance(told, Mapping) else told
        if not isinstance(reference, str):
            if isinstance(told, Mapping):
                yield _yaml_row(config, path, config)
            else:
                config.lose(path, "this is no test")
            continue
        file = waiting.pop(reference.removeprefix("file://").rpartition("/")[2], None)
        if file is None:
            why = "files are never opened on their own: name it with --tests"
            config.lose(path, why)
        else:
            config.take(*path)
            yield from _file_rows(file, config, sources)
    for file in waiting.values():
        yield from _file_rows(file, config, sources)


def _file_rows(file: ForeignFile, config: Source, sources: dict[str, Source]) -> Iterator[_Row]:
    if file.suffix == ".csv":
        source = sources[file.name] = Source(_csv_lines(file))
        lines = source.keys()
        for line in lines:
            yield _csv_row(source, line)
        return
    if file.suffix in (".yaml", ".yml"):
        parsed = parse_foreign_yaml(file.text, source=file.name)
        source = Source(parsed.value, _TEST_FIELDS, parsed.ambiguous)
    elif file.suffix == ".jsonl":
        lines = [line for line in file.text.split("\n") if line.strip()]
        source = Source(
            [parse_foreign_json(line, source=f"{file.name}, a line of it") for line in lines],
            _TEST_FIELDS,
        )
    elif file.suffix == ".json":
        source = Source(parse_foreign_json(file.text, source=file.name), _TEST_FIELDS)
    else:
        raise Invalid(
            f"{file.name}: tests are read from .csv, .json, .jsonl, .yaml and .yml files."
        )
    sources[file.name] = source
    if not source.length():
        raise Invalid(f"{file.name} holds no list of tests.")
    for index in range(source.length()):
        if isinstance(source.at(index), Mapping):
            yield _yaml_row(source, (index,), config)
        else:
            source.lose((index,), "this is no test")


def _yaml_row(source: Source, path: FieldPath, config: Source) -> _Row:
    shape = source.at(*path)
    items = [
        _resolved(source, (*path, "assert", index), config)
        for index in range(source.length(*path, "assert"))
    ]
    return _Row(shape if isinstance(shape, Mapping) else {}, source, path, items)


def _resolved(source: Source, path: FieldPath, config: Source) -> tuple[JSON, Place]:
    """Return an assertion with what a `$ref` stands for, and where it is told about."""
    shape = source.at(*path)
    reference = shape.get("$ref") if isinstance(shape, Mapping) else None
    if not isinstance(shape, Mapping) or not isinstance(reference, str):
        return shape, Place(source, path)
    name = reference.removeprefix(_TEMPLATES)
    template = config.at("assertionTemplates", name)
    if not reference.startswith(_TEMPLATES) or not isinstance(template, Mapping):
        return {"type": "a $ref to nothing"}, Place(source, path)
    if template.get("type") == "assert-set":
        return {"type": "a $ref to a set"}, Place(source, path)
    for key in ("type", "value", "threshold", "weight"):
        config.take("assertionTemplates", name, key)
    source.take(*path, "$ref")
    own = {key: value for key, value in shape.items() if key != "$ref"}
    return {**template, **own}, Place(source, path)


# Tables


def _csv_lines(file: ForeignFile) -> dict[str, JSON]:
    """Return the rows of a table by the line on which each ends."""
    if len(file.text) > MAX_BYTES:
        raise Invalid(f"{file.name} is longer than the {MAX_BYTES:,} bytes that are read.")
    reader = csv.reader(io.StringIO(file.text, newline=""), strict=True)
    rows: dict[str, JSON] = {}
    try:
        header = [name.strip() for name in next(reader, [])]
        if len(set(header)) < len(header):
            raise Invalid(f"{file.name}: two columns have the same name.")
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) > len(header):
                raise Invalid(
                    f"{file.name}, line {reader.line_num}: there are more cells than columns."
                )
            rows[f"line {reader.line_num}"] = dict(zip(header, cells, strict=False))
            if len(rows) > _MAX_ROWS:
                raise Invalid(f"{file.name} has more than the {_MAX_ROWS:,} rows that are read.")
    except csv.Error as error:
        raise Invalid(f"{file.name}, line {reader.line_num}: {error}.") from error
    if not rows:
        raise Invalid(f"{file.name} holds no test: a header line and rows are wanted.")
    return rows


def _csv_row(source: Source, line: str) -> _Row:
    """Return a table's row as a test; columns that begin with `__` are no values."""
    shape: dict[str, JSON] = {}
    variables: dict[str, JSON] = {}
    metadata: dict[str, JSON] = {}
    options: dict[str, JSON] = {}
    assertions: list[tuple[JSON, Place]] = []
    for name in source.keys(line):
        cell = str(source.at(line, name))
        if not name.startswith("__"):
            variables[name] = source.take(line, name)
        elif re.fullmatch(r"__expected\d*", name):
            if cell.strip():
                place = Place(source, (line, name), is_cell=True)
                assertions.append((_csv_assertion(source, line, name, cell), place))
            else:
                source.take(line, name)
        elif not cell.strip():
            source.take(line, name)
        elif name in ("__prefix", "__suffix"):
            options[name[2:]] = source.take(line, name)
        elif name == "__description":
            shape["description"] = source.take(line, name)
        elif name == "__threshold":
            shape["threshold"] = _number(cell)
            if is_amount(shape["threshold"]):
                source.take(line, name)
            else:
                source.lose((line, name), "a number from 0 is wanted")
        elif name == "__metric":
            source.lose((line, name), "scores have the names of scorers here")
        elif name.startswith("__metadata:"):
            key = name.removeprefix("__metadata:")
            metadata[key.removesuffix("[]")] = _tags(cell) if key.endswith("[]") else cell
            source.take(line, name)
        elif name == "__providerOutput":
            source.lose((line, name), _TEST_FIELDS["providerOutput"])
    return _Row(
        {**shape, "vars": variables, "metadata": metadata, "options": options},
        source,
        (line, "(row)"),
        assertions,
    )


def _csv_assertion(source: Source, line: str, name: str, cell: str) -> JSON:
    """Return a cell `type(threshold):value` as an assertion; anything else is compared whole."""
    shape: dict[str, JSON] = {"type": "equals", "value": cell}
    code, typed = _CSV_CODE.match(cell), _CSV_TYPED.fullmatch(cell)
    if cell.startswith("grade:"):
        shape = {"type": "llm-rubric", "value": cell.removeprefix("grade:").strip()}
    elif code:
        return {"type": "python" if ".py" in cell or code[1] == "python" else "javascript"}
    elif typed and is_kind(typed["kind"].removeprefix("not-")):
        kind = typed["kind"].removeprefix("not-")
        shape = {"type": typed["kind"]}
        if typed["value"] is not None and typed["value"].strip():
            shape["value"] = typed["value"].strip()
        if typed["threshold"] is not None:
            shape["threshold"] = float(typed["threshold"])
        elif kind in _CSV_THRESHOLDS:
            shape["threshold"] = _CSV_DEFAULT_THRESHOLD
    for column in ("__config:__expected:threshold", f"__config:{name}:threshold"):
        told = source.at(line, column)
        if isinstance(told, str) and told.strip():
            shape["threshold"] = _number(source.take(line, column))
    return shape


def _number(told: JSON) -> JSON:
    try:
        number = float(str(told))
    except ValueError:
        return told
    return number if math.isfinite(number) else told


def _tags(cell: str) -> list[JSON]:
    parts = re.split(r"(?<!\\),", cell)
    return [part.strip().replace("\\,", ",") for part in parts if part.strip()]


# One test


def _kind(shape: JSON) -> str:
    return str(shape.get("type")) if isinstance(shape, Mapping) else ""


def _members(shape: JSON) -> Sequence[JSON]:
    """Return the assertions of an `assert-set`; none if it is no set."""
    items = shape.get("assert") if isinstance(shape, Mapping) else None
    return items if _kind(shape) == "assert-set" and isinstance(items, (list, tuple)) else ()


class _CaseReader:
    """Makes the cases of one test, once for each combination of its values."""

    def __init__(self, row: _Row, default: _Row, tools: JSON) -> None:
        self._row = row
        self._default = default
        self._tools = tools
        self._options = {**self._part("options", default), **self._part("options", row)}

    def check_assertions(self) -> None:
        """Raise `Invalid` for more assertions, those in sets included, than checks are run."""
        shapes = [shape for row in self._asserting() for shape, _ in row.assertions]
        count = len(shapes) + sum(len(_members(shape)) for shape in shapes)
        if count > MAX_CHECKS:
            path = self._row.path[:-1] if self._is_cells(self._row) else self._row.path
            raise Invalid(
                f"{path_text(path)} has {count:,} assertions, those of sets and of the default "
                f"test included; an example has at most {MAX_CHECKS} checks. Split the test."
            )

    def combinations(self) -> dict[str, Sequence[JSON]]:
        """Return the values that each variable takes; a list of texts is several values."""
        found: dict[str, Sequence[JSON]] = {}
        for row in (self._default, self._row):
            for name, value in self._part("vars", row).items():
                self._take(row, "vars", name)
                several = isinstance(value, (list, tuple)) and value and isinstance(value[0], str)
                if names_a_file(value):
                    why = "files are never opened: write the value here; kept as this text"
                    self._lose(row, ("vars", name), why, meaning=True)
                if several and not self._options.get("disableVarExpansion"):
                    found[name] = list(value) if isinstance(value, (list, tuple)) else [value]
                else:
                    found[name] = [value]
        return found

    def case(self, raw: dict[str, JSON]) -> TestCase:
        variables = self._values(raw)
        case = TestCase(variables)
        for row in self._asserting():
            for shape, place in row.assertions:
                case.checks += self._checks(shape, place, case)
        for row in self._both():
            threshold = row.shape.get("threshold")
            if is_amount(threshold):
                case.threshold = threshold
                self._take(row, "threshold")
            case.metadata |= self._metadata(row)
        case.description = self._text(self._row, "description", variables)
        for name in ("prefix", "suffix"):
            setattr(case, name, self._option_text(name, variables))
        for row in self._both():
            for name in ("disableDefaultAsserts", "disableVarExpansion"):
                if name in self._part("options", row):
                    self._take(row, "options", name)
        return case

    def _checks(self, shape: JSON, place: Place, case: TestCase) -> list[dict[str, JSON]]:
        """Return the check of an assertion, if it becomes one; what is judged is put aside."""
        kind = _kind(shape)
        if isinstance(shape, Mapping) and kind == "assert-set":
            group = self._set(shape, place, case)
            return [] if group is None else [group]
        if isinstance(shape, Mapping) and kind in JUDGED:
            self._judge(shape, place, case)
            return []
        check = assertion(shape, place, case.variables, self._tools)
        if check is None:
            case.left_out += 1
            return []
        return [check]

    def _set(
        self, shape: Mapping[str, JSON], place: Place, case: TestCase
    ) -> dict[str, JSON] | None:
        parts: list[dict[str, JSON]] = []
        for index, item in enumerate(_members(shape)):
            below = Place(place.source, (*place.path, "assert", index))
            check = None
            if _kind(item) in (*JUDGED, "assert-set"):
                below.lose("only rules can stand in an assert-set here")
            else:
                check = assertion(item, below, case.variables, self._tools)
            if check is None:
                case.left_out += 1
            else:
                parts.append(check)
        return assertion_set(parts, shape, place)

    def _judge(self, shape: Mapping[str, JSON], place: Place, case: TestCase) -> None:
        value = shape.get("value")
        try:
            text = filled(value, case.variables) if isinstance(value, str) else ""
        except NotFilled as error:
            place.lose(str(error))
            case.left_out += 1
            return
        if names_a_file(value) or shape.get("transform") is not None:
            place.lose("files are never opened and code is never run")
            case.left_out += 1
            return
        provider = shape.get("provider") or self._options.get("provider")
        case.judged.append(
            Judged(str(shape["type"]), text.strip(), provider, place, shape.get("threshold"))
        )

    # Parts of the test and of the default test

    def _both(self) -> list[_Row]:
        return [self._default, self._row]

    def _asserting(self) -> list[_Row]:
        return [self._row] if self._options.get("disableDefaultAsserts") else self._both()

    def _part(self, name: str, row: _Row) -> dict[str, JSON]:
        value = row.shape.get(name)
        return dict(value) if isinstance(value, Mapping) else {}

    def _take(self, row: _Row, *path: str | int) -> None:
        if not self._is_cells(row):
            row.source.take(*row.path, *path)

    def _lose(self, row: _Row, path: FieldPath, why: str, *, meaning: bool = False) -> None:
        # Of a table the last part names the column.
        path = (row.path[0], *path[-1:]) if self._is_cells(row) else (*row.path, *path)
        row.source.lose(path, why, "changed" if meaning else "dropped", changes_meaning=meaning)

    def _is_cells(self, row: _Row) -> bool:
        return bool(row.path) and row.path[-1] == "(row)"

    def _values(self, raw: Mapping[str, JSON]) -> dict[str, JSON]:
        """Fill values into values, as promptfoo does before it fills the prompt."""
        values = dict(raw)
        for _ in range(_VALUE_PASSES):
            before = dict(values)
            for name, value in before.items():
                if isinstance(value, str) and "{" in value:
                    try:
                        values[name] = filled(value, before)
                    except NotFilled as error:
                        row = self._row if name in self._part("vars", self._row) else self._default
                        why = f"{error}; kept as this text"
                        self._lose(row, ("vars", name), why, meaning=True)
            if values == before:
                break
        return values

    def _metadata(self, row: _Row) -> dict[str, JSON]:
        found = self._part("metadata", row)
        for name in list(found):
            if name in RESERVED_METADATA:
                self._lose(row, ("metadata", name), f"{name} is used by the import itself")
                del found[name]
            else:
                self._take(row, "metadata", name)
        return found

    def _text(self, row: _Row, name: str, variables: Mapping[str, JSON]) -> str:
        value = row.shape.get(name)
        if not isinstance(value, str):
            return ""
        self._take(row, name)
        try:
            return " ".join(filled(value, variables).split())
        except NotFilled:
            return " ".join(value.split())

    def _option_text(self, name: str, variables: Mapping[str, JSON]) -> str:
        for row in (self._row, self._default):
            value = self._part("options", row).get(name)
            if isinstance(value, str):
                self._take(row, "options", name)
                try:
                    return filled(value, variables)
                except NotFilled as error:
                    self._lose(row, ("options", name), str(error), meaning=True)
                    return value
        return ""
