"""From a file to a configuration, or to all of its problems with line, key and hint."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config.loader import load, warnings
from bridge.errors import ConfigError

GOOD = """\
store: sqlite:bridge.db
public_url: https://sms.example.com
listeners:
  smpp: [{listen: 127.0.0.1:2775}]
accounts:
  acme:
    smpp: {system_id: acme, password: "${env:ACME_PASSWORD}"}
providers:
  virtual: {type: virtual}
routes:
  - {account: acme, send: [virtual]}
"""
ENV = {"ACME_PASSWORD": "topsecret"}

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration that only its owner may read."""

    def written(text: str) -> Path:
        path = tmp_path / "bridge.yaml"
        path.write_text(text)
        path.chmod(0o640)
        return path

    return written


def problems(path: Path, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(path, env=ENV if env is None else env)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return list(refused.value.problems)


def test_good_file_is_a_configuration_without_warnings(write: Write) -> None:
    path = write(GOOD)
    config = load(path, env=ENV)
    smpp = config.accounts["acme"].smpp
    assert smpp is not None
    assert smpp.password.get_secret_value() == "topsecret"
    assert config.routes[0].send == ["virtual"]
    assert warnings(config, path) == []


def test_environment_is_the_process_s_own_when_none_is_given(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_PASSWORD", "from the process")
    smpp = load(write(GOOD)).accounts["acme"].smpp
    assert smpp is not None
    assert smpp.password.get_secret_value() == "from the process"


def test_credentials_are_where_systemd_says(write: Write, tmp_path: Path) -> None:
    (tmp_path / "acme_password").write_text("from systemd\n")
    path = write(GOOD.replace("env:ACME_PASSWORD", "credential:acme_password"))
    for config in (
        load(path, env={"CREDENTIALS_DIRECTORY": str(tmp_path)}),
        load(path, env={"CREDENTIALS_DIRECTORY": "/nowhere"}, credentials_dir=tmp_path),
    ):
        smpp = config.accounts["acme"].smpp
        assert smpp is not None
        assert smpp.password.get_secret_value() == "from systemd"


def test_every_problem_is_told_at_once_in_the_order_of_lines(write: Write) -> None:
    path = write(
        """\
store: postgres://x
listeners:
  smpp: [{listen: 127.0.0.1:2775, tls: {certificate: /nowhere/c, key: /nowhere/k}}]
  http: [{listen: 127.0.0.1:2775}]
accounts:
  acme:
    smpp:
      system_id: acme
      pasword: x
      alphabet: latin
    rate: 5
    rate: 6
  Bad: {}
  empty:
providers:
  one: {type: virtuall}
  two: {type: virtual, ratee: 5/s, concurrency: many}
routes:
  - {to: "+380*", sendd: [one]}
  - {account: acne, send: [onee]}
inbound:
  - {account: "${env:NOPE}"}
log: {level: verbose, text: maybe}
limit: {}
"""
    )
    taken = "the address is taken by listeners.smpp[0].listen"
    assert problems(path) == [
        "bridge.yaml:1: store: a store is sqlite:PATH, such as sqlite:/var/lib/smsbridge/bridge.db",
        "bridge.yaml:3: listeners.smpp[0].tls.certificate: /nowhere/c cannot be read: No such file or directory",
        "bridge.yaml:3: listeners.smpp[0].tls.key: /nowhere/k cannot be read: No such file or directory",
        f"bridge.yaml:4: listeners.http[0].listen: {taken}",
        'bridge.yaml:9: accounts.acme.smpp.pasword: unknown key; did you mean "password"?',
        'bridge.yaml:10: accounts.acme.smpp.alphabet: not a valid word; did you mean "latin1"?',
        "bridge.yaml:12: accounts.acme.rate: written twice, first in line 11",
        "bridge.yaml:13: accounts.Bad: a name is made of a-z, 0-9, _ and -, and begins with a letter or digit",
        "bridge.yaml:13: accounts.Bad: an account needs at least one of smpp, smtp and http",
        "bridge.yaml:14: accounts.empty: is empty: give it a value, or remove the key",
        'bridge.yaml:16: providers.one.type: no provider type is called "virtuall"; did you mean "virtual"?',
        "bridge.yaml:17: providers.two.concurrency: must be a whole number",
        'bridge.yaml:17: providers.two.ratee: unknown key; did you mean "rate"?',
        'bridge.yaml:19: routes[0]: the key "send" is missing',
        'bridge.yaml:19: routes[0].sendd: unknown key; did you mean "send"?',
        'bridge.yaml:20: routes[1].account: no account is called "acne"; did you mean "acme"?',
        'bridge.yaml:20: routes[1].send[0]: no provider is called "onee"; did you mean "one"?',
        "bridge.yaml:22: inbound[0].account: the environment variable NOPE is not set",
        "bridge.yaml:23: log.level: not a valid word; known: debug, info, warning",
        "bridge.yaml:23: log.text: must be true or false",
        'bridge.yaml:24: limit: unknown key; did you mean "limits"?',
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("listeners:\n", "listeners: 5\nx:\n", 3, "listeners: must be a group of keys and values"),
        ("[{listen: 127.0.0.1:2775}]", "{listen: 127.0.0.1:2775}", 4, "listeners.smpp: must be a list"),
        ("listen:", "listn: x, listen:", 4, 'listeners.smpp[0].listn: unknown key; did you mean "listen"?'),
        ("127.0.0.1:2775", "2775", 4, "listeners.smpp[0].listen: an address is host:port"),
        ('"${env:ACME_PASSWORD}"', "true", 7, "accounts.acme.smpp.password: must be text; put it in quotes"),
        ('"${env:ACME_PASSWORD}"', '""', 7, "accounts.acme.smpp.password: must not be empty"),
        ("system_id: acme", "system_id: acme, max_binds: 0", 7, "max_binds: must be greater than or equal to 1"),
        ("acme,", "acme, receipts: kanel,", 7, 'receipts: not a valid word; did you mean "kannel"?'),
        ("acme,", "acme, receipts: {idd: hex},", 7, 'receipts.idd: unknown key; did you mean "id"?'),
        ("acme,", "acme, receipts: {errors: {bared: '1'}},", 7, 'bared: not a valid word; did you mean "barred"?'),
        (
            "acme,",
            "acme, receipts: {errors: {barred: '1234'}},",
            7,
            "barred: an error code is 1 to 3 digits or letters",
        ),
        ("acme,", "acme, receipts: {text: long},", 7, "receipts.text: must be true, false, or how many characters"),
        ("routes:", "retention: 30\nrouts:", 11, 'routs: unknown key; did you mean "routes"?'),
        ("send: [virtual]", "send: virtual", 11, "routes[0].send: must be a list"),
        ("send: [virtual]", "send: []", 11, "routes[0].send: must not be empty"),
        ("account: acme,", "account: acme, form: x,", 11, 'routes[0].form: unknown key; did you mean "from"?'),
        ("store: sqlite:bridge.db\n", "", 1, 'the key "store" is missing'),
        ("routes:", "routes: *x", 10, "aliases are not supported"),
        ("routes:", "routes: [", 11, "not YAML"),
    ],
)
def test_problem_has_line_place_and_advice(write: Write, old: str, new: str, line: int, told: str) -> None:
    assert old in GOOD
    [problem] = [each for each in problems(write(GOOD.replace(old, new, 1))) if told in each]
    assert problem.startswith(f"bridge.yaml:{line}: ")


def test_hint_names_the_keys_of_the_provider_s_own_type(write: Write) -> None:
    path = write(GOOD.replace("{type: virtual}", "{type: bsg, api_key: k, base_ur: https://x}"))
    assert problems(path) == ['bridge.yaml:9: providers.virtual.base_ur: unknown key; did you mean "base_url"?']


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "bridge.yaml:1: the file is empty"),
        ("# nothing\n", "bridge.yaml:1: the file is empty"),
        ("- a\n- b\n", "bridge.yaml:1: must be a group of keys and values"),
        ("!x {}\n", "bridge.yaml:1: the tag !x is not supported"),
    ],
)
def test_file_without_settings_is_a_problem(write: Write, text: str, told: str) -> None:
    assert problems(write(text)) == [told]


def test_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path / "gone.yaml") == [f"{tmp_path}/gone.yaml: cannot be read: No such file or directory"]
    (tmp_path / "bridge.yaml").write_bytes(b"store: sqlite:x\npublic_url: \xff\n")
    assert problems(tmp_path / "bridge.yaml") == ["bridge.yaml:2: not UTF-8 text"]


@pytest.mark.parametrize(
    "value",
    ["system_id: {0}", "system_id: acme, alphabet: {0}", "system_id: acme, max_binds: {0}", "system_id: acme, {0}: 1"],
)
def test_value_from_outside_is_never_shown(write: Write, value: str) -> None:
    text = GOOD.replace("system_id: acme", value.replace("{0}", '"${env:TOKEN}"'))
    path = write(text)
    token = str(uuid.uuid4())
    with pytest.raises(ConfigError) as refused:
        load(path, env={**ENV, "TOKEN": token})
    assert token not in "".join(traceback.format_exception(refused.value))


def test_value_from_outside_is_hidden_where_a_check_would_quote_it(write: Write) -> None:
    path = write(GOOD.replace("account: acme", 'account: "${env:TOKEN}"'))
    [problem] = problems(path, {**ENV, "TOKEN": "verysecret"})
    assert problem == 'bridge.yaml:11: routes[0].account: no account is called "***"; known: acme'


def test_two_accounts_with_one_key_are_told_without_the_key(write: Write) -> None:
    path = write(GOOD.replace("providers:", "  other:\n    smpp: {system_id: acme, password: x}\nproviders:"))
    [problem] = problems(path)
    assert problem.startswith("bridge.yaml:9: accounts.other.smpp.system_id: the same as accounts.acme.smpp.system_id")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  smpp: [{listen: 127.0.0.1:2775}]", "  http: []", ["bridge.yaml:3: listeners: nothing listens"]),
        ("  - {account: acme, send: [virtual]}", "  []", ["bridge.yaml:10: routes: there are none"]),
        (
            "  smpp: [",
            "  smtp: [{listen: ':1', domain: x}]\n  smpp: [",
            ["bridge.yaml:4: listeners.smtp: reports by mail"],
        ),
        (
            "  acme:",
            "  acme:\n    http: {api_key: '${env:ACME_PASSWORD}'}",
            ["bridge.yaml:7: accounts.acme.http: there is no http"],
        ),
    ],
)
def test_what_is_hardly_meant_is_a_warning(write: Write, old: str, new: str, told: list[str]) -> None:
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    found = warnings(load(path, env=ENV), path)
    assert [each.startswith(start) for each, start in zip(found, told, strict=True)] == [True] * len(told)


@pytest.mark.parametrize(("more", "warned"), [("", True), (", auth_without_tls: true", False)])
def test_smtp_listener_where_nobody_can_log_in_is_a_warning(write: Write, more: str, warned: bool) -> None:
    smtp = f"  smtp: [{{listen: 127.0.0.1:2525, domain: sms.example.com{more}}}]\naccounts:\n"
    account = '  acme:\n    smtp: {login: acme, password: "${env:ACME_PASSWORD}", from: ["*"]}\n'
    mail = "mail: {smarthost: smtp://127.0.0.1:25, from: reports@sms.example.com}\n"
    path = write(GOOD.replace("accounts:\n  acme:\n", smtp + account, 1) + mail)
    found = [warning for warning in warnings(load(path, env=ENV), path) if "nobody can log in" in warning]
    assert [warning.partition(": ")[0] for warning in found] == (["bridge.yaml:5"] if warned else [])


@pytest.mark.parametrize("asks", [False, True])
def test_account_with_a_certificate_that_nobody_asks_for_is_a_warning(
    write: Write, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    tls = "tls: {certificate: tls/cert.pem, key: tls/key.pem, client_ca: tls/cert.pem}"
    text = GOOD.replace('password: "${env:ACME_PASSWORD}"', "certificate: {subject: CN=acme}")
    listen = next(line for line in text.splitlines() if "listen:" in line)
    path = write(text.replace(listen, listen.replace("}", f", {tls}}}")) if asks else text)
    found = [each for each in warnings(load(path, env=ENV), path) if "certificate" in each]
    assert [each.partition(": no smpp listener")[0] for each in found] == (
        [] if asks else ["bridge.yaml:7: accounts.acme.smpp.certificate"]
    )


@pytest.mark.parametrize(
    ("old", "more", "told"),
    [
        ("", "control: {group: no-such-group}\n", 'control.group: this machine has no group "no-such-group"'),
        ("", "control: {socket: /nowhere/control.sock}\n", "control.socket: there is no folder /nowhere yet"),
        ("bridge.db", "", "store: a control socket beside it has too long a path"),
    ],
)
def test_control_socket_that_will_not_be_is_a_warning(write: Write, old: str, more: str, told: str) -> None:
    path = write((GOOD.replace(old, "x" * 120, 1) if old else GOOD) + more)
    [warning] = warnings(load(path, env=ENV), path)
    assert warning.partition(": ")[2].startswith(told)


def test_callback_provider_without_public_url_is_a_warning(write: Write) -> None:
    text = GOOD.replace("{type: virtual}", "{type: bsg, api_key: '${env:ACME_PASSWORD}'}")
    path = write(text)
    assert warnings(load(path, env=ENV), path) == []
    path = write(text.replace("public_url: https://sms.example.com\n", ""))
    [warning] = warnings(load(path, env=ENV), path)
    assert warning == (
        'bridge.yaml:8: providers.virtual: its reports come by callback, which needs a "public_url"; '
        "only polling tells of them"
    )


@pytest.mark.parametrize(
    ("password", "mode", "warned"),
    [
        ("hunter2", 0o644, True),
        ("12345", 0o644, True),
        ("hunter2", 0o640, False),
        ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", 0o644, False),
        ("${env:ACME_PASSWORD}", 0o644, False),
    ],
)
def test_plain_secret_that_everybody_may_read_is_a_warning(
    write: Write, password: str, mode: int, warned: bool
) -> None:
    path = write(GOOD.replace('"${env:ACME_PASSWORD}"', f'"{password}"' if password != "12345" else password))
    path.chmod(mode)
    found = warnings(load(path, env=ENV), path)
    assert found == (
        [
            "bridge.yaml:7: accounts.acme.smpp.password: a plain secret, and everybody may read this file: "
            "chmod 640 bridge.yaml"
        ]
        if warned
        else []
    )


# --- a user's own providers ---------------------------------------------------------------------------------------

DECLARATION = """\
about: Acme
documents: https://acme.example
settings: {base_url: url, key: secret}
send: {url: "{settings.base_url}", json: {to: "{to}", text: "{text}"}}
answer: {ref: id}
"""
OWN = GOOD.replace(
    "providers:\n",
    "provider_paths: [PATH]\nproviders:\n  own: {type: acme, base_url: https://a.example, key: k3y-s3cret}\n",
)


def test_provider_of_one_s_own_is_loaded(write: Write, tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(DECLARATION)
    config = load(write(OWN.replace("PATH", str(tmp_path))), env=ENV)
    assert config.providers["own"].type == "acme"
    assert "k3y-s3cret" not in repr(config.providers["own"])


@pytest.mark.parametrize(
    ("declaration", "old", "new", "told"),
    [
        (DECLARATION, "key: k3y", "kye: k3y", 'bridge.yaml:10: providers.own.kye: unknown key; did you mean "key"?'),
        (DECLARATION, "type: acme", "type: acm", 'bridge.yaml:10: providers.own.type: no provider type is called "acm'),
        (
            DECLARATION.replace("{to}", "{too}"),
            "",
            "",
            'providers.own.type: acme.yaml:4: send.json.to: no variable is called "too"; did you mean "to"?',
        ),
        (
            DECLARATION.replace("ref: id", "rfe: id"),
            "",
            "",
            'bridge.yaml:10: providers.own.type: acme.yaml:5: answer.rfe: unknown key; did you mean "ref"?',
        ),
    ],
)
def test_problem_with_one_s_own_is_told(
    write: Write, tmp_path: Path, declaration: str, old: str, new: str, told: str
) -> None:
    (tmp_path / "acme.yaml").write_text(declaration)
    found = problems(write(OWN.replace("PATH", str(tmp_path)).replace(old, new)))
    assert any(told in problem for problem in found), found


def test_directory_that_is_not_there_is_told(write: Write, tmp_path: Path) -> None:
    found = problems(write(OWN.replace("PATH", str(tmp_path / "gone"))))
    assert f"bridge.yaml:8: provider_paths[0]: there is no directory {tmp_path / 'gone'}" in found
