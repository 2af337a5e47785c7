"""Log lines are JSON objects with the request's id, and never a secret."""

from __future__ import annotations

import io
import logging

import orjson
import pytest

from app.core.errors import ConfigurationError
from app.core.logging import create_logger, request_context, standard_logs
from app.core.redaction import Redactor


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object() -> None:
    stream = io.StringIO()

    create_logger("INFO", stream=stream).info("llm_call", model="m", latency_ms=1.5)

    (line,) = lines(stream)
    assert line["event"] == "llm_call"
    assert line["level"] == "info"
    assert (line["model"], line["latency_ms"]) == ("m", 1.5)
    assert str(line["timestamp"]).endswith("Z")


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    logger = create_logger(stream=stream)

    logger.info("quiet")
    logger.warning("loud")

    assert [line["event"] for line in lines(stream)] == ["loud"]
    assert not logger.is_enabled_for(logging.INFO)


def test_lines_inside_a_request_carry_its_id() -> None:
    stream = io.StringIO()
    logger = create_logger("INFO", stream=stream)

    with request_context("req-7"):
        logger.info("inside")
    logger.info("outside")

    assert [line.get("request_id") for line in lines(stream)] == ["req-7", None]


def test_secrets_are_masked_also_in_an_exceptions_text() -> None:
    stream = io.StringIO()
    logger = create_logger("INFO", stream=stream, redact=Redactor(["canary-123456789"]))

    try:
        raise ValueError("the key canary-123456789 is wrong")
    except ValueError:
        logger.exception("failed", header="canary-123456789")

    assert "canary" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_what_libraries_tell_becomes_a_line_of_ours() -> None:
    stream = io.StringIO()
    logger = create_logger("DEBUG", stream=stream, redact=Redactor(["canary-123456789"]))
    library = logging.getLogger("some.library")

    with standard_logs(logger), request_context("req-7"):
        library.info("nobody asked")
        library.warning("a key %s was refused", "canary-123456789")
        try:
            raise ValueError("canary-123456789")
        except ValueError:
            library.exception("it failed")

    warned, failed = lines(stream)
    assert (warned["event"], warned["level"], warned["library"]) == (
        "library_log",
        "warning",
        "some.library",
    )
    assert (warned["message"], warned["request_id"]) == ("a key *** was refused", "req-7")
    assert "ValueError: ***" in str(failed["exception"])


def test_libraries_are_heard_inside_the_block_only() -> None:
    before = list(logging.getLogger().handlers)

    with standard_logs(create_logger()):
        assert len(logging.getLogger().handlers) == len(before) + 1

    assert logging.getLogger().handlers == before


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DEBUG, INFO"):
        create_logger("LOUD")
