"""Does the answer name one of the four queues, and say nothing else?

Try it: `workbench scorers check scorers/known_queue.py --output "Billing."`
Use it: `--scorer team.known_queue`, or among the `scorers` of an experiment file.
"""

VERSION = 1
QUEUES = ("billing", "bug", "account", "other")


def known_queue(output: str, ignore: str = ".\"'`*") -> tuple[bool, str]:
    """Whether the answer can be routed, be it right or wrong: one queue and nothing else.

    `ignore` holds the signs that may stand around the name.
    """
    answer = output.strip().strip(ignore).lower()
    if answer in QUEUES:
        return True, f"names {answer}"
    named = [queue for queue in QUEUES if queue in answer]
    return False, f"names {' and '.join(named) or 'no queue'}, in {len(output.split())} words"
