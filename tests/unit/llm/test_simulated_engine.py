"""The simulated model: repeatable, dependent on the prompt, and never given the answer."""

from __future__ import annotations

import copy
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.hashing import JSON
from app.core.templating import compile_template
from app.llm.simulated import SimulatedAnswer, answer
from app.llm.simulated.labels import labels_in
from app.llm.simulated.reading import read
from app.llm.simulated.solver import solve

REPOSITORY = Path(__file__).resolve().parents[3]

QUEUES = "You route tickets. Queues: billing, bug, account, other. Answer with the label only."
CHARGED = "I was charged twice this month, please refund one payment."
CRASHES = "The app crashes with an error every time I open a file."


def ask(
    system: str, user: str, *, model: str = "large", temperature: float = 0, **options: Any
) -> SimulatedAnswer:
    messages: list[Mapping[str, JSON]] = [{"role": "user", "content": user}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return answer(messages, model=model, temperature=temperature, **options)


# ----------------------------------------------------------------------------- repeatability

TEXTS = st.text(max_size=300)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(("system", "user", "assistant", "tool")), "content": TEXTS}
    ),
    max_size=4,
)
SCHEMA: dict[str, JSON] = {
    "type": "json_schema",
    "json_schema": {
        "name": "letter",
        "schema": {
            "type": "object",
            "properties": {
                "sender": {"type": "string"},
                "total": {"type": "number"},
                "date": {"type": "string", "format": "date"},
                "invoice_number": {"type": ["string", "null"]},
                "mood": {"enum": ["good", "bad"]},
                "urgent": {"type": "boolean"},
                "count": {"type": "integer"},
                "topics": {"type": "array"},
            },
        },
    },
}
FORMATS = st.sampled_from((None, {"type": "text"}, {"type": "json_object"}, SCHEMA))


@given(MESSAGES, FORMATS, st.sampled_from(("small", "large", "else")), st.floats(0, 2))
@settings(deadline=None)
def test_any_request_is_answered_and_equal_requests_get_equal_answers(
    messages: list[dict[str, JSON]],
    response_format: dict[str, JSON] | None,
    model: str,
    temperature: float,
) -> None:
    before = copy.deepcopy(messages)

    first, second = (
        answer(
            messages,
            model=model,
            temperature=temperature,
            seed=7,
            repetition_nonce="1",
            response_format=response_format,
        )
        for _ in range(2)
    )

    assert first == second
    assert messages == before
    assert first.text
    assert 0 < first.first_token_ms <= first.latency_ms


def test_an_answer_does_not_depend_on_the_process() -> None:
    program = (
        "from app.llm.simulated import answer\n"
        "for text in ('Classify: I paid, it crashes.', 'How many hours are 2 days and 3 hours?',"
        " 'Extract total and date as JSON.\\n\\nTotal $5, 3 May 2024'):\n"
        "    for nonce in '12':\n"
        "        print(answer([{'role': 'user', 'content': text}], model='m', temperature=1.0,"
        " repetition_nonce=nonce))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(outputs) == 1


def tickets() -> list[str]:
    return [row["input"]["ticket"] for row in dataset("support-triage")[:60]]


def test_at_temperature_zero_seed_and_repetition_change_nothing_but_the_latency() -> None:
    for ticket in tickets():
        first = ask(QUEUES, ticket, seed=1, repetition_nonce="1")
        second = ask(QUEUES, ticket, seed=2, repetition_nonce="2")

        assert first.text == second.text
        assert first.latency_ms != second.latency_ms


def share_that_differs(temperature: float | None) -> float:
    pairs = [
        {
            answer(
                [{"role": "system", "content": QUEUES}, {"role": "user", "content": ticket}],
                model="large",
                temperature=temperature,
                repetition_nonce=nonce,
            ).text
            for nonce in ("1", "2")
        }
        for ticket in (row["input"]["ticket"] for row in dataset("support-triage"))
    ]
    return sum(len(texts) == 2 for texts in pairs) / len(pairs)


def test_repetitions_differ_the_more_the_higher_the_temperature() -> None:
    assert 0 < 2 * share_that_differs(0.2) < share_that_differs(1.5)


def test_a_request_without_a_temperature_is_answered_as_at_one() -> None:
    assert share_that_differs(None) == share_that_differs(1.0) > 0


# ----------------------------------------------------------------------------- length and time


@given(TEXTS, st.integers(0, 20))
@settings(deadline=None)
def test_max_tokens_cuts_the_same_answer_and_says_so(text: str, limit: int) -> None:
    whole = ask("", text)
    cut = ask("", text, max_tokens=limit)

    assert whole.text.startswith(cut.text)
    assert cut.output_tokens <= limit
    assert (cut.finish_reason == "length") == (cut.text != whole.text)
    assert whole.finish_reason == "stop"


def test_longer_prompts_cost_more_input_tokens_in_text_and_in_parts() -> None:
    short = ask("", CHARGED)
    long = ask("", CHARGED * 2)
    parts = answer(
        [{"role": "user", "content": [{"type": "text", "text": CHARGED}, {"type": "image_url"}]}],
        model="large",
        temperature=0,
    )

    assert short.input_tokens < long.input_tokens
    assert parts.input_tokens == short.input_tokens


def test_latency_is_spread_around_tens_of_milliseconds_and_larger_models_are_slower() -> None:
    def times(model: str) -> list[float]:
        return [
            ask("", "Hello", model=model, repetition_nonce=str(nonce)).latency_ms
            for nonce in range(300)
        ]

    small, medium, large = map(statistics.median, map(times, ("small", "any", "a-large-one")))

    assert 10 < small < medium < large < 150
    assert max(times("small")) > 2 * min(times("small"))


# ----------------------------------------------------------------------------- reading a prompt


@pytest.mark.parametrize(
    ("instructions", "labels"),
    [
        ("Queues: billing, bug, account, other. Answer with one.", "billing bug account other"),
        ("Is the review positive, negative or neutral?", "positive negative neutral"),
        ("Answer positive, negative or neutral.", "positive negative neutral"),
        ("Decide whether it is spam or ham.", "spam ham"),
        ("Labels:\n- red: roses, blood\n- blue: the sky\n- Be brief", "red blue"),
        ("Pick one: cat (purrs, meows), dog (barks at night)", "cat dog"),
        ("Write a poem about the sea.", ""),
    ],
)
def test_labels_are_found_as_people_write_them(instructions: str, labels: str) -> None:
    assert [label.name for label in labels_in(instructions)] == labels.split()


@pytest.mark.parametrize(
    "user",
    [
        "Classify this ticket.\n\nIt hurts.\n\nReally.",
        "Classify this ticket.\n\nTicket: It hurts.\n\nReally.\nQueue:",
        "Classify the text below.\n```\nIt hurts.\n\nReally.\n```",
        "Classify the text in the tags: <ticket>It hurts.\n\nReally.</ticket>",
        'Classify: """It hurts.\n\nReally."""',
    ],
)
def test_order_and_material_are_told_apart(user: str) -> None:
    reading = read([{"role": "user", "content": user}])

    assert reading.material == "It hurts.\n\nReally."
    assert "hurts" not in reading.instructions.text
    assert "Classify" in reading.instructions.text


def test_markup_in_the_material_is_no_fence() -> None:
    mail = "Dear Sir, <b>nothing</b> works."

    reading = read([{"role": "system", "content": QUEUES}, {"role": "user", "content": mail}])

    assert reading.material == mail


# ----------------------------------------------------------------------------- classification


def test_a_label_is_chosen_by_the_words_of_the_text() -> None:
    assert ask(QUEUES, CHARGED).text == "billing"
    assert ask(QUEUES, CRASHES).text == "bug"


def test_labels_that_the_prompt_does_not_name_are_not_known() -> None:
    named, unnamed = (
        {ask(system, ticket).text for ticket in tickets()}
        for system in (QUEUES, "Classify the support ticket.")
    )

    assert {"billing", "bug", "account", "other"} <= named
    assert len(unnamed) > 15  # names of its own, in sentences of its own


def test_an_unknown_label_is_understood_from_what_the_prompt_says_of_it() -> None:
    text = "The orchard was full of blossoms and the meadow of tulips."
    bare = "Classify. Labels: florin, quux. Answer with the label only, as written."
    explained = (
        "Classify. Labels:\n- florin: coins, banks, interest\n- quux: blossoms, meadows, tulips\n"
        "Answer with the label only, as written."
    )
    models = [f"large {number}" for number in range(40)]

    def share(prompt: str) -> float:
        return statistics.mean(ask(prompt, text, model=model).text == "quux" for model in models)

    assert share(bare) < 0.75
    assert share(explained) > 0.9


def test_examples_show_the_form() -> None:
    told = "Route the ticket. Queues: billing, bug, account, other."
    shown = told + '\n"Where is my receipt?" -> billing\n"It freezes." -> bug'

    def bare(prompt: str) -> int:
        return sum(" " not in ask(prompt, ticket).text for ticket in tickets())

    assert bare(shown) > bare(told) + 10


# ----------------------------------------------------------------------------- extraction

INVOICE = (
    "Tinderbox Lamps\nInvoice no. TL-4471\nDate: 3 May 2024\n\nSubtotal €1.000,00\n"
    "VAT €190,00\nGrand total €1.190,00\n\nPayable by 2 June 2024"
)
INVOICE_FORMAT: dict[str, JSON] = {
    "type": "json_schema",
    "json_schema": {
        "name": "invoice",
        "schema": {
            "type": "object",
            "properties": {
                "vendor": {"type": "string", "description": "The company that sells."},
                "total": {"type": "number", "description": "Grand total including tax."},
                "currency": {"type": "string", "description": "Three-letter ISO 4217 code."},
                "date": {"type": "string", "format": "date", "description": "Day of issue."},
                "invoice_number": {
                    "type": ["string", "null"],
                    "description": "Number of the invoice, null without one.",
                },
            },
        },
    },
}


def test_a_schema_is_filled_with_its_keys_and_types() -> None:
    text = ask("Read the invoice.", INVOICE, response_format=INVOICE_FORMAT).text

    assert json.loads(text) == {
        "vendor": "Tinderbox Lamps",
        "total": 1190,
        "currency": "EUR",
        "date": "2024-05-03",
        "invoice_number": "TL-4471",
    }


def test_a_vague_prompt_gets_prose_or_keys_of_the_models_own() -> None:
    models = [f"large {number}" for number in range(20)]
    texts = [ask("Extract the important data.", INVOICE, model=model).text for model in models]

    assert not any('"invoice_number"' in text for text in texts)
    assert all("Tinderbox" in text for text in texts)


def test_json_that_is_not_enforced_often_stands_in_a_fence() -> None:
    texts = [row["input"]["text"] for row in dataset("invoice-extraction")[:60]]

    fenced = sum("```" in ask("Extract vendor and total as JSON.", text).text for text in texts)

    assert 5 < fenced < 55


def test_a_users_own_fields_are_looked_up_by_their_names() -> None:
    mail = "Contact: Jana\nE-mail: jana@example.org\nPhone: 030 5550 1234\nSeats: 12\nMood: calm"
    schema: dict[str, JSON] = {
        "properties": {
            "email": {"type": "string"},
            "phone": {"type": "string"},
            "seats": {"type": "integer"},
            "mood": {"type": "string"},
        }
    }

    found = json.loads(ask("", mail, response_format=schema).text)

    assert found == {
        "email": "jana@example.org",
        "phone": "030 5550 1234",
        "seats": 12,
        "mood": "calm",
    }


# ----------------------------------------------------------------------------- word problems


@pytest.mark.parametrize(
    ("problem", "calculations"),
    [
        ("Ada buys 3 pens at $4 each. How much does she pay?", ["3 * 4 = 12"]),
        ("Of 40 seats, 12 are taken. How many are left?", ["40 - 12 = 28"]),
        ("25% of the 80 trees are oaks. How many oaks are there?", ["80 * 1/4 = 20"]),
        ("A coat costs $80 and is reduced by 25%. What is the price?", ["80 * 3/4 = 60"]),
        (
            "Bo has 30 nuts. He eats 4 and finds 9. How many nuts has he now?",
            ["30 - 4 = 26", "26 + 9 = 35"],
        ),
        (
            "A bus drives 50 km an hour. How far does it get in 3 hours?",
            ["50 * 3 = 150"],
        ),
        (
            "24 rolls from one oven and 16 from another are put into bags of 8. How many bags?",
            ["24 + 16 = 40", "40 / 8 = 5"],
        ),
        ("What is the average of 4, 8 and 9?", ["4 + 8 = 12", "12 + 9 = 21", "21 / 3 = 7"]),
        ("Uma is 9. Her aunt is four times as old. How old is she?", ["9 * 4 = 36"]),
        (
            "It took 2 hours and 15 minutes. How many minutes is that?",
            ["2 * 60 = 120", "120 + 15 = 135"],
        ),
        ("Is 7 a nice number?", ["7 = 7 = 7"]),
        ("Nothing to count here.", []),
    ],
)  # fmt: skip
def test_a_word_problem_is_read_from_left_to_right(problem: str, calculations: list[str]) -> None:
    steps = solve(problem, lambda cue: True, lambda number, result: result)

    assert [f"{s.left} {s.operator} {s.right} = {s.result}" for s in steps] == calculations


@given(st.integers(2, 99), st.integers(2, 99), st.integers(2, 9))
@settings(deadline=None)
def test_the_solver_gets_simple_shopping_right_for_any_numbers(n: int, p: int, k: int) -> None:
    problem = f"Ada buys {n} pens at ${p} each and gives {k} away. How many pens are left?"

    steps = solve(f"Ada has {n * p} pens and gives {k} away. How many are left?", _all, _exact)

    assert steps[-1].result == abs(n * p - k)
    assert solve(problem, _all, _exact)[0].result == n * p


def _all(cue: str) -> bool:
    return True


def _exact(number: int, result: Fraction) -> Fraction:
    return result


PROBLEM = "Bo packs 6 boxes with 8 cups each. 5 cups break. How many cups are left?"


def test_a_request_for_steps_shows_them_and_a_marker_stands_before_the_answer() -> None:
    text = ask("Work step by step. End with a line `A: <number>`.", PROBLEM).text

    assert text.splitlines() == ["1. 6 * 8 = 48", "2. 48 - 5 = 43", "A: 43"]


def test_without_steps_a_model_tends_to_stop_early() -> None:
    problems = [row["input"]["question"] for row in dataset("word-problems") if steps_of(row) > 1]

    def numbers(prompt: str) -> list[str]:
        return [re.findall(r"[\d.]+", ask(prompt, p, model="small").text)[-1] for p in problems]

    at_once, in_steps = numbers("Answer with the number only."), numbers("Work step by step.")

    assert sum(a != b for a, b in zip(at_once, in_steps, strict=True)) > len(problems) / 3


def steps_of(row: Mapping[str, Any]) -> int:
    return int(row["metadata"]["steps"])


# ----------------------------------------------------------------------------- everything else


def test_a_summary_is_a_sentence_of_the_text() -> None:
    text = "The mill burnt down. Nobody was hurt. It will be built again in spring."

    assert ask("Summarise the text in one sentence.", text).text in text


def test_an_empty_request_is_answered() -> None:
    assert ask("", "").text


def test_only_the_beginning_of_a_very_long_message_is_read() -> None:
    filler = "word " * 20_000

    assert ask(QUEUES, filler + CHARGED).text == ask(QUEUES, filler + CRASHES).text


# ----------------------------------------------------------------------------- the sample


@cache
def dataset(name: str) -> list[dict[str, Any]]:
    lines = (REPOSITORY / "datasets" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def same_text(output: str, expected: JSON) -> bool:
    return output.strip() == expected


def same_json(output: str, expected: JSON) -> bool:
    try:
        return bool(json.loads(output) == expected)
    except json.JSONDecodeError:
        return False


def same_number(output: str, expected: JSON) -> bool:
    marked = re.findall(r"^A: *\$?(-?[\d.]+)", output, re.MULTILINE)
    numbers = marked or re.findall(r"-?\d+(?:\.\d+)?", output)
    return bool(numbers) and float(numbers[-1]) == float(str(expected))


@dataclass(frozen=True)
class Family:
    prompt: str
    dataset: str
    versions: tuple[int, ...]
    is_right: Callable[[str, JSON], bool]

    @cache  # noqa: B019 - the families live as long as the module
    def marks(self, version: int, model: str) -> list[bool]:
        """Whether each example of the dataset is answered right."""
        path = REPOSITORY / "prompts" / self.prompt / f"v{version}.yaml"
        prompt = yaml.safe_load(path.read_text(encoding="utf-8"))
        templates = [(m["role"], compile_template(m["content"])) for m in prompt["messages"]]
        return [
            self.is_right(
                answer(
                    [{"role": role, "content": t.render(row["input"])} for role, t in templates],
                    model=model,
                    temperature=prompt["parameters"]["temperature"],
                    max_tokens=prompt["parameters"]["max_tokens"],
                    response_format=prompt.get("response_format"),
                ).text,
                row["expected_output"],
            )
            for row in dataset(self.dataset)
        ]


FAMILIES = [
    Family("support-triage", "support-triage", (1, 2, 3), same_text),
    Family("invoice-extraction", "invoice-extraction", (1, 2), same_json),
    Family("word-problem", "word-problems", (1, 2, 3), same_number),
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.prompt)
def test_each_version_of_a_sample_prompt_scores_better_with_flips_both_ways(
    family: Family,
) -> None:
    for model in ("small", "large"):
        marks = [family.marks(version, model) for version in family.versions]
        for older, newer in pairwise(marks):
            pairs = list(zip(older, newer, strict=True))
            assert statistics.mean(newer) > statistics.mean(older) + 0.05
            assert (True, False) in pairs
            assert (False, True) in pairs
        assert statistics.mean(marks[-1]) < 0.9


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.prompt)
def test_the_large_model_does_better_than_the_small_one(family: Family) -> None:
    for version in family.versions:
        assert statistics.mean(family.marks(version, "large")) > statistics.mean(
            family.marks(version, "small")
        )
