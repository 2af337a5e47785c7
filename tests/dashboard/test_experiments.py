"""The page of experiments: the list, one experiment, the form that starts one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from app.bootstrap import open_services
from app.core.logging import create_logger
from app.core.permissions import local_actor
from app.core.settings import Settings, load_settings
from app.main import create_app
from app.schemas.jobs import RunRequest
from tests.api.conftest import KEY_SECRET
from tests.api.live import Live, live
from tests.api.measured import asked, stock
from tests.dashboard.conftest import Workspace
from tests.dashboard.pages import open_page, texts
from workbench.client import Client, experiments, jobs
from workbench.worker import Desk
from workbench.workspace.experiments import resolve_experiment

ADDRESS: Mapping[str, str | list[str]] = {
    "new": "1",
    "dataset": "sums@1",
    "prompt": ["ask@1", "ask@2"],
    "model": "simulated/small@1",
    "scorer": "numeric_answer",
}


@pytest.fixture(scope="module")
def settings(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "workbench.db").write_bytes(sqlite_template.read_bytes())
    environment = {
        "WORKBENCH_DATABASE_URL": "sqlite:///workbench.db",
        "WORKBENCH_KEY_SECRET": KEY_SECRET,
    }
    return load_settings(folder, environment)


@pytest.fixture(scope="module")
def own(settings: Settings) -> Iterator[Live]:
    """A workspace with something to measure, to start things in."""
    with live(create_app(settings), stock) as running:
        yield running


@pytest.fixture
def client(own: Live) -> Iterator[Client]:
    with Client(own.url, own.key) as opened:
        yield opened


def work(settings: Settings, job_id: UUID | str) -> None:
    """Do a job as a worker does."""

    async def do() -> None:
        async with open_services(settings) as services:
            assert await Desk(services, create_logger("CRITICAL")).do(UUID(str(job_id))) is None

    asyncio.run(do())


def started(client: Client, settings: Settings, **changes: Any) -> int:
    """Return the number of an experiment that was carried out to its end."""
    job = client.send(experiments.start(asked(**changes)))
    work(settings, job.id)
    number = client.send(jobs.progress(job.id)).job.experiment
    assert number is not None
    return number


def stopped(settings: Settings, **changes: Any) -> int:
    """Return the number of an experiment that nobody has worked on yet."""
    request = RunRequest.model_validate(asked(**changes))

    async def make() -> int:
        async with open_services(settings) as services:
            actor = local_actor()
            dataset = await services.datasets.get(request.dataset)
            new = await resolve_experiment(services, actor, request, dataset, print)
            return (await services.experiments.create(actor, new)).number

    return asyncio.run(make())


def button(test: AppTest, label: str) -> Any:
    [found] = [it for it in test.button if it.label == label]
    return found


def address(test: AppTest, name: str) -> str:
    """Return what the page's address says under a name."""
    found = test.query_params[name]
    return found if isinstance(found, str) else found[0]


def labels(test: AppTest) -> set[str]:
    return {it.label for it in test.button}


# The list


def test_the_list_says_how_far_an_experiment_is_and_what_was_found(filled: Workspace) -> None:
    said = texts(open_page("experiments", filled.url, filled.key))
    assert "Experiment 1: triage" in said.replace("\\", "")
    assert "1,200 of 1,200 cells" in said
    assert "superior" in said
    assert "inconclusive" in said
    assert "simulated" in said


def test_the_list_is_filtered_by_its_address(filled: Workspace) -> None:
    found = texts(open_page("experiments", filled.url, filled.key, {"search": "TRIA"}))
    assert "1,200 of 1,200 cells" in found
    missed = texts(open_page("experiments", filled.url, filled.key, {"status": "cancelled"}))
    assert "No experiment fits the filter" in missed


def test_an_empty_workspace_is_told_what_to_do(empty: Workspace) -> None:
    said = texts(open_page("experiments", empty.url, empty.key))
    assert "No experiment yet" in said
    assert "Bring a dataset" in said
    assert "New experiment" in said


def test_who_may_only_look_is_offered_no_experiment(filled: Workspace, empty: Workspace) -> None:
    assert "New experiment" not in texts(open_page("experiments", filled.url, filled.viewer))
    assert "ask an admin" in texts(open_page("experiments", empty.url, empty.viewer))
    form = open_page("experiments", filled.url, filled.viewer, {"new": "1"})
    assert "Start experiment" not in labels(form)


def test_who_has_no_role_is_told_so(filled: Workspace) -> None:
    assert "Your roles do not allow this" in texts(
        open_page("experiments", filled.url, filled.nobody)
    )


@pytest.mark.parametrize("query", [{}, {"number": "1"}, {"new": "1"}, {"job": "x"}], ids=str)
def test_an_api_that_fails_is_told_in_a_sentence(failing: str, query: dict[str, str]) -> None:
    assert "The database does not answer" in texts(open_page("experiments", failing, "wb_x", query))


# One experiment


def test_one_experiment_tells_its_verdicts_its_runs_and_what_to_doubt(filled: Workspace) -> None:
    test = open_page("experiments", filled.url, filled.key, {"number": "1"})
    said = texts(test).replace("\\", "")
    assert "Candidate is better by 21.5 points (99 % CI 9.7 to 32.8" in said
    assert "against support-triage@1+simulated/small by exact_match" in said
    assert "Simulated models answer" in said
    assert "[Compare support-triage@2+simulated/small](/compare?id=" in said
    assert "[Generations of support-triage@2+simulated/large](/generations?run_id=" in said
    runs = test.dataframe[0].value
    assert next(iter(runs["run"])) == "support-triage@1+simulated/small"
    assert next(iter(runs["mean exact_match"])) == pytest.approx(0.355)


def test_an_experiment_that_is_not_there_is_told(filled: Workspace) -> None:
    said = texts(open_page("experiments", filled.url, filled.key, {"number": "99"}))
    assert "There is nothing here by this name" in said


def test_who_may_only_look_is_offered_no_action(filled: Workspace) -> None:
    test = open_page("experiments", filled.url, filled.viewer, {"number": "1"})
    assert not {"Stop", "Go on", "Extend it", "Cancel it for good"} & labels(test)


def test_waiting_work_is_stopped(own: Live, client: Client, settings: Settings) -> None:
    number = started(client, settings, limit=3)
    waiting = client.send(experiments.resume(number))
    test = open_page("experiments", own.url, own.key, {"number": str(number)})
    assert "It waits for a worker." in texts(test)

    button(test, "Stop").click().run()

    assert client.send(jobs.progress(waiting.id)).job.status == "stopped"
    assert "Stop" not in labels(test)


def test_an_experiment_that_stopped_is_resumed(
    own: Live, client: Client, settings: Settings
) -> None:
    number = stopped(settings, limit=5)
    test = open_page("experiments", own.url, own.key, {"number": str(number)})
    assert "Cells done 0 / 10" in texts(test)

    button(test, "Go on").click().run()
    [job] = client.page(jobs.listing(number, statuses=["queued"])).items
    work(settings, job.id)
    test.run()

    assert "Cells done 10 / 10" in texts(test)
    assert "Go on" not in labels(test)


def test_an_experiment_is_cancelled_for_good(own: Live, client: Client, settings: Settings) -> None:
    number = stopped(settings, limit=6)
    test = open_page("experiments", own.url, own.key, {"number": str(number)})
    button(test, "Cancel it for good").click().run()
    assert client.send(experiments.standing(number)).experiment.status == "cancelled"
    assert not {"Go on", "Cancel it for good"} & labels(test)


def test_an_extension_is_asked_for_and_followed(
    own: Live, client: Client, settings: Settings
) -> None:
    number = started(client, settings, limit=4)
    test = open_page("experiments", own.url, own.key, {"number": str(number)})
    button(test, "Extend it").click().run()
    assert "job" in test.query_params


# The form


def test_the_form_is_filled_in_by_its_address_and_says_what_it_will_cost(own: Live) -> None:
    test = open_page("experiments", own.url, own.key, ADDRESS)
    told = {it.label: it.value for it in test.metric}
    assert told["Calls"] == "20"
    assert told["Cost"] == r"\$0"
    assert "to" in told["Tokens"]
    assert "Start experiment" in labels(test)


def test_the_form_says_what_it_still_needs(own: Live) -> None:
    test = open_page("experiments", own.url, own.key, {"new": "1"})
    assert "Choose the dataset version" in texts(test)
    assert button(test, "Start experiment").disabled
    assert not test.metric


def test_the_form_says_when_there_can_be_no_verdict(own: Live) -> None:
    test = open_page("experiments", own.url, own.key, {**ADDRESS, "prompt": "ask@1"})
    assert "One variant: there will be no verdict" in texts(test)
    assert not button(test, "Start experiment").disabled


def test_an_experiment_is_started_watched_and_read(
    own: Live, client: Client, settings: Settings
) -> None:
    test = open_page("experiments", own.url, own.key, ADDRESS)
    test.number_input(key="form-limit").set_value(7).run()
    button(test, "Start experiment").click().run()
    job_id = address(test, "job")
    assert "A worker takes it up" in texts(test)

    work(settings, job_id)
    test.run()

    number = int(address(test, "number"))
    assert client.send(jobs.progress(job_id)).job.experiment == number
    said = texts(test)
    assert "Cells done 14 / 14" in said
    assert "Verdicts" in said


def test_what_the_api_refuses_is_told_at_its_field(own: Live) -> None:
    test = open_page("experiments", own.url, own.key, ADDRESS)
    test.number_input(key="form-temperature").set_value(9.0).run()
    [error] = test.error
    assert "temperature" in error.value
    assert not test.metric
    test.number_input(key="form-temperature").set_value(0.5).run()
    assert not test.error
    assert test.metric


def test_what_a_worker_refuses_is_told_and_can_be_changed(
    own: Live, client: Client, settings: Settings
) -> None:
    job = client.send(experiments.start(asked(scorers=["exactly"], name="Odd")))
    work(settings, job.id)

    told = open_page("experiments", own.url, own.key, {"job": str(job.id)})
    assert "It was not started" in texts(told)
    assert f"(/experiments?new=1&copy={job.id})" in texts(told)

    form = open_page("experiments", own.url, own.key, {"new": "1", "copy": str(job.id)})
    assert form.text_input(key="form-name").value == "Odd"
    assert form.multiselect(key="form-scorers").value == ["exactly"]
    assert form.error
