"""The fake provider as a process of its own, for tests that kill clients and for benchmarks."""

import select
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import orjson

from tests.fake_provider.faults import FaultScript
from tests.fake_provider.ledger import LedgerSummary
from tests.fake_provider.options import ProviderOptions, arguments_of

__all__ = ["FakeProviderProcess"]

_REPOSITORY = Path(__file__).resolve().parents[2]
_READY_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_REQUEST_TIMEOUT_S = 30.0


class FakeProviderProcess:
    """`with FakeProviderProcess(options) as server`: a fake provider in a subprocess.

    Works without an event loop. `pid`, `port`, `base_url` and `ollama_url` are there inside the
    block; at its end the process is asked to stop (SIGTERM) and, if it does not, killed.
    """

    def __init__(self, options: ProviderOptions | None = None, *, port: int = 0) -> None:
        self._options = options or ProviderOptions()
        self._asked_port = port

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.fake_provider", f"--port={self._asked_port}"]
        self._process = subprocess.Popen(
            [*command, *arguments_of(self._options)],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self.port = self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def ollama_url(self) -> str:
        """The host URL for Ollama clients, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The base URL for OpenAI clients."""
        return f"{self.ollama_url}/v1"

    def summary(self) -> LedgerSummary:
        """Return the counts of the ledger."""
        return cast(LedgerSummary, self._request("GET", "/_ledger"))

    def calls(self) -> list[dict[str, object]]:
        """Return the calls on the ledger in order of arrival: the fields of `Call`, `outcome`."""
        return cast(list[dict[str, object]], self._request("GET", "/_ledger/calls"))

    def set_script(self, script: FaultScript) -> None:
        """Follow another fault script from the next call on."""
        self._request("POST", "/_script", script.to_json())

    def reset(self) -> None:
        """Forget all calls and begin the script again."""
        self._request("POST", "/_reset", b"")

    def _start(self) -> int:
        """Hand over the script, wait until the server is ready, and return its port."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(self._options.script.to_json())
        stdin.close()
        ready, _, _ = select.select([stdout], [], [], _READY_TIMEOUT_S)
        line = stdout.readline() if ready else b""
        if not line:
            raise RuntimeError("The fake provider did not start: see its standard error above.")
        return int(orjson.loads(line)["port"])

    def _stop(self) -> None:
        # Popen signals nothing but this very process, and nothing once it has been waited for.
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _request(self, method: str, path: str, body: bytes | None = None) -> object:
        request = urllib.request.Request(f"{self.ollama_url}{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_S) as reply:
            return orjson.loads(reply.read())
