"""Programs that others have written, and that are not Python: where they are, how they are run, what is asked of them.

`.ci/run` installs them all. Where one is missing its tests are skipped.
"""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flows.bridges import Bridge
from interop.tap import Tap

HERE = Path(__file__).parent
# `npm install --prefix .node` puts them there; a folder with a dot is no part of the source.
NODE_MODULES = HERE.parents[1] / ".node" / "node_modules"

DELIVERED, ABSENT, REJECTED, PUT_OFF = (f"3805012345{digits}" for digits in ("10", "01", "07", "03"))
LONG = "A long text, in as many parts as it takes: " + "0123456789 " * 30
TEXTS: list[dict[str, Any]] = [
    {"name": "plain", "to": DELIVERED, "text": "hello"},
    {"name": "absent", "to": ABSENT, "text": "hello to nobody"},
    {"name": "rejected", "to": REJECTED, "text": "hello, buy this"},
    {"name": "unicode", "to": DELIVERED, "text": "Привіт 🙂"},
    {"name": "long", "to": DELIVERED, "text": LONG},
    {"name": "long unicode", "to": DELIVERED, "text": "Довгий текст, " * 12},
    {"name": "payload", "to": DELIVERED, "text": LONG, "payload": True},
]
# By text: how many parts it has, the message_state of its receipts, their `stat` and `err`.
FATES = {
    "plain": (1, 2, "DELIVRD", "000"),
    "absent": (1, 5, "UNDELIV", "027"),
    "rejected": (1, 8, "REJECTD", "201"),
    "unicode": (1, 2, "DELIVRD", "000"),
    "long": (3, 2, "DELIVRD", "000"),
    "long unicode": (3, 2, "DELIVRD", "000"),
    "payload": (1, 2, "DELIVRD", "000"),
}


def needed(program: str, package: str) -> str:
    """The path of a program of Debian's; without it the test is skipped."""
    # Daemons are in sbin, which is not on everybody's path.
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return path


@functools.cache
def _has_net_smpp(perl: str) -> bool:
    return subprocess.run([perl, "-MNet::SMPP", "-e1"], capture_output=True, check=False).returncode == 0


def net_smpp() -> list[str]:
    """The command of the client that is Perl's Net::SMPP."""
    perl = needed("perl", "perl")
    if not _has_net_smpp(perl):
        pytest.skip("Net::SMPP is not installed: apt-get install libnet-smpp-perl")
    return [perl, str(HERE / "net_smpp.pl")]


def node_smpp() -> list[str]:
    """The command of the client that is node-smpp."""
    node = needed("node", "nodejs")
    if not (NODE_MODULES / "smpp").is_dir():
        pytest.skip("node-smpp is not installed: npm install --prefix .node --no-save --no-package-lock smpp@0.5.1")
    return ["env", f"NODE_PATH={NODE_MODULES}", node, str(HERE / "node_smpp.js")]


async def story(command: list[str], tap: Tap, interface_version: int) -> dict[str, Any]:
    """What a client tells of its session, which is that of `net_smpp.pl` and of `node_smpp.js` alike."""
    process = await asyncio.create_subprocess_exec(
        *command, "127.0.0.1", str(tap.port), f"0x{interface_version:02x}",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate(json.dumps(TEXTS).encode())
    assert process.returncode == 0, errors.decode()
    told = json.loads(out)
    assert isinstance(told, dict)
    return told


async def check(told: dict[str, Any], bridge: Bridge) -> None:
    """Compares what a client tells with what has to be."""
    assert (told["bind"]["status"], told["bind"]["system_id"]) == (0, "smsbridge")
    ids: dict[str, list[str]] = {}
    for submit in told["submits"]:
        assert submit["status"] == 0, submit
        ids.setdefault(submit["name"], []).append(submit["id"])
    receipts = {receipt["text"].partition(" ")[0].removeprefix("id:"): receipt for receipt in told["receipts"]}
    assert len(receipts) == len(told["receipts"]) == len(told["submits"])
    queries = {query["asked"]: query for query in told["queries"]}
    for text in TEXTS:
        parts, state, stat, error = FATES[text["name"]]
        assert len(ids[text["name"]]) == parts
        for message_id in ids[text["name"]]:
            record = await bridge.record(message_id)
            assert (record.message.text, record.message.destination) == (text["text"], text["to"])
            receipt = receipts[message_id]
            assert (receipt["esm_class"], receipt["source"]) == (4, text["to"])
            assert f" stat:{stat} err:{error} " in receipt["text"]
            query = queries[message_id]
            assert (query["status"], query["message_id"], query["message_state"]) == (0, message_id, state), query
            assert query["final_date"]
    assert queries["9999999"]["status"] in (0x0C, 0x67)
    assert (told["enquire_link"], told["unbind"]) == (0, 0)
