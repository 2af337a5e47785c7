"""A comparison is quick, small, and does not drag slow packages in."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, re, sys, time
from pathlib import Path
import numpy as np
from workbench.statistics.amounts import compare_amounts
from workbench.statistics.analysis import analyse_pair
from workbench.statistics.observations import Observations

def seconds(n):
    keys = [f"example-{i}" for i in range(n)]
    rng = np.random.default_rng(1)
    scores = [Observations(keys, rng.random(n), ["scored"] * n) for _ in range(2)]
    costs = [Observations.from_values(keys, rng.gamma(2.0, 1.0, n)) for _ in range(2)]
    start = time.process_time()
    analyse_pair(*scores)
    compare_amounts(*costs)
    compare_amounts(*costs, quantiles=(0.95,))
    return time.process_time() - start

small, large = seconds(1_319), seconds(100_000)
memory = Path("/proc/self/status").read_text()
print(json.dumps({
    "small": small,
    "large": large,
    "megabytes": int(re.search(r"VmHWM:\\s+(\\d+)", memory).group(1)) / 1024,
    "slow": [name for name in ("scipy.stats", "pandas", "statsmodels") if name in sys.modules],
}))
"""


def test_comparison_with_cost_and_latency_is_within_its_budget() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=True
    )
    measured = json.loads(done.stdout)
    assert measured["slow"] == []
    assert measured["small"] <= 0.3
    assert measured["large"] <= 2.0
    assert measured["megabytes"] <= 300
