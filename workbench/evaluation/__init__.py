"""Run an experiment from Python: `from workbench import evaluate, evaluate_sync`.

    done = await evaluate(prompts=["triage@1", "triage@2"], models=["openai/gpt-4.1-mini"],
                          dataset="triage@1", scorers=["exact_match"])      # in a notebook
    done = evaluate_sync(app={"old": old_app, "new": new_app}, dataset="triage@1",
                         scorers=["contains"])                              # in a script

It asks what `workbench run` asks and stores what that stores, so that either can go on with what
the other began. Two kinds of thing are measured:

- **prompts on models**: an experiment. Asking the same again goes on with the one that was
  interrupted and makes no call twice; `new=True` starts anew;
- **an application**, any callable: its outputs become imported runs. What code it runs is not on
  record, so an interrupted run is carried on only when `resume=True` says that it is the same.

Two functions, because there are two situations: `await evaluate(...)` where a loop is running
(a notebook, a service), `evaluate_sync(...)` where none is.
"""

from __future__ import annotations

from workbench.evaluation.evaluating import evaluate, evaluate_sync
from workbench.evaluation.result import Evaluation, RunStopped
from workbench.runner.generation.application import AppAnswer

__all__ = ["AppAnswer", "Evaluation", "RunStopped", "evaluate", "evaluate_sync"]
