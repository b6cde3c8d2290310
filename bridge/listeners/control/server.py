"""The control socket: HTTP over a socket in the file system, whose permissions say who may steer."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from pathlib import Path

import structlog
from aiohttp import web

from bridge.listeners.control.ports import Steering
from bridge.listeners.control.routes import Routes, always_json
from bridge.listeners.control.settings import SOCKET_PATH_MAX

log = structlog.get_logger("bridge.listeners.control")

_BACKLOG = 16
_GRACE_S = 1.0  # for answers under way


class ControlServer:
    """One socket that a running bridge is seen and steered by."""

    def __init__(self, path: Path, group: str | None, steering: Steering) -> None:
        """`group`: who may use it besides the account that the daemon runs as, and root."""
        self._path = path
        self._group = group
        self._routes = Routes(steering)
        self._runner: web.AppRunner | None = None
        self._inode: int | None = None

    async def start(self) -> None:
        """Listens. Raises OSError with a text that names the path, and what to do."""
        listening = _listening_socket(self._path, self._group)
        self._inode = self._path.stat().st_ino
        app = web.Application(middlewares=[always_json])
        self._routes.add_to(app)
        # A watcher that has gone is noticed by that, also when there is nothing to tell it.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_S)
        await runner.setup()
        await web.SockSite(runner, listening, backlog=_BACKLOG).start()
        self._runner = runner

    async def stop(self) -> None:
        """Ends what goes on, closes, and takes the socket out of the file system."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        self._routes.close()
        await runner.cleanup()
        # Somebody may have put another in its place.
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


async def opened(path: Path, group: str | None, steering: Steering, *, required: bool) -> ControlServer | None:
    """A server that listens. Raises OSError when that cannot be and is `required`; else says so, and gives None."""
    server = ControlServer(path, group, steering)
    try:
        await server.start()
    except OSError as error:
        if required:
            raise
        log.warning("control_unavailable", error=str(error), hint="set control.socket to a path that can be used")
        return None
    return server


def _listening_socket(path: Path, group: str | None) -> socket.socket:
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        text = f"the path of a socket has at most {SOCKET_PATH_MAX} bytes; set control.socket to a shorter one"
        raise OSError(errno.ENAMETOOLONG, text, str(path))
    try:
        group_id = None if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        raise OSError(errno.EINVAL, f'control.group: there is no group "{group}"', str(path)) from None
    _make_way(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        # Before it has a name, so that there is no moment in which somebody else may connect.
        os.fchmod(listening.fileno(), 0o600)
        _bind(listening, path)
        if group_id is not None:
            try:
                os.chown(path, -1, group_id)
            except OSError as error:
                path.unlink()
                text = f"control.group: the socket cannot be given to {group}: {error.strerror}"
                raise OSError(error.errno, text, str(path)) from None
            path.chmod(0o660)
    except OSError:
        listening.close()
        raise
    return listening


def _bind(listening: socket.socket, path: Path) -> None:
    try:
        listening.bind(str(path))
    except OSError as error:
        raise OSError(error.errno, f"the control socket cannot be made: {error.strerror}", str(path)) from None


def _make_way(path: Path) -> None:
    """Removes the socket of a daemon that was killed; asyncio would remove that of a living one, too."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # nothing is there; what else may be wrong, `bind` will tell
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "control.socket is the path of a file that is no socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as asking:
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            if error.errno != errno.EAGAIN:  # its backlog is full, so it lives
                raise OSError(error.errno, f"the control socket cannot be used: {error.strerror}", str(path)) from None
    raise OSError(errno.EADDRINUSE, "the control socket is in use by another daemon", str(path))
