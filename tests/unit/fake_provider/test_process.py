"""The fake provider as a process: started, asked, and surely stopped."""

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.fake_provider import FakeProviderProcess, FaultScript, ProviderOptions


def send_chat(server: FakeProviderProcess, text: str) -> int:
    body = {"model": "fake-model", "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions", data=json.dumps(body).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_process_serves_keeps_its_ledger_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    options = ProviderOptions(
        latency_ms=20, ledger=path, script=FaultScript(sequence=("ok", "503", "ok"))
    )
    with FakeProviderProcess(options) as server:
        assert [send_chat(server, str(n)) for n in range(3)] == [200, 503, 200]
        assert len(path.read_text().splitlines()) == 3
        summary = server.summary()
        assert (summary["received"], summary["answered"]) == (3, 2)
        assert summary["by_fault"] == {"503": 1}
        assert summary["cpu_s"] > 0
        assert [call["outcome"] for call in server.calls()] == ["answered", "fault", "answered"]
        server.set_script(FaultScript(rates={"401": 1.0}))
        assert send_chat(server, "x") == 401
        server.reset()
        assert server.summary()["received"] == 0
        pid = server.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_process_that_cannot_start_says_so_and_leaves_nothing_behind(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = FakeProviderProcess(port=port)
        with pytest.raises(RuntimeError, match="did not start"), server:
            pass
    assert not psutil.pid_exists(server.pid)
    assert capfd.readouterr().err.startswith(f"Cannot serve on 127.0.0.1:{port}: ")
