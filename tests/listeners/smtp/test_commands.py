from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.listeners.smtp.commands import MailCommand, RcptCommand, Rejected, mail_command, rcpt_command, split_address

MAILS = {
    "FROM:<a@b.example>": MailCommand(address="a@b.example", ret="HDRS"),
    "from: <a@b.example>": MailCommand(address="a@b.example", ret="HDRS"),
    "FROM:a@b.example": MailCommand(address="a@b.example", ret="HDRS"),
    "FROM:<>": MailCommand(address="", ret="HDRS"),
    "FROM:<@relay.example,@other.example:a@b.example>": MailCommand(address="a@b.example", ret="HDRS"),
    'FROM:<"a b>"@c.example> SIZE=5': MailCommand(address='"a b>"@c.example', size=5, ret="HDRS"),
    "FROM:<a@b> size=10 body=8bitmime ret=full ENVID=Qq+2B1 AUTH=<>": MailCommand(
        address="a@b", size=10, ret="FULL", envid="Qq+1"
    ),
    "FROM:<ä@b.example> SMTPUTF8": MailCommand(address="ä@b.example", ret="HDRS"),
}


@pytest.mark.parametrize(("argument", "command"), MAILS.items(), ids=MAILS)
def test_mail(argument: str, command: MailCommand) -> None:
    assert mail_command(argument) == command


RCPTS = {
    "TO:<+447700900123@sms.example>": RcptCommand(address="+447700900123@sms.example"),
    "to:<4477@sms.example> notify=success,FAILURE ORCPT=rfc822;Bob+40x.example": RcptCommand(
        address="4477@sms.example", notify=("SUCCESS", "FAILURE"), orcpt="rfc822;Bob@x.example"
    ),
    "TO:<1@b> NOTIFY=NEVER": RcptCommand(address="1@b", notify=("NEVER",)),
    "TO:<1@b> NOTIFY=DELAY": RcptCommand(address="1@b", notify=("DELAY",)),
}


@pytest.mark.parametrize(("argument", "command"), RCPTS.items(), ids=RCPTS)
def test_rcpt(argument: str, command: RcptCommand) -> None:
    assert rcpt_command(argument) == command


REJECTED = {
    "": "501 5.5.4",
    "FROM": "501 5.5.4",
    "TO:<a@b>": "501 5.5.4",
    "FROM:": "501 5.5.4",
    "FROM:<a@b": "501 5.5.4",
    "FROM:<a@b>SIZE=1": "501 5.5.4",
    "FROM:<a@b> SIZE=x": "501 5.5.4",
    "FROM:<a@b> SIZE": "501 5.5.4",
    "FROM:<a@b> SIZE=": "501 5.5.4",
    "FROM:<a@b> SIZE=1 SIZE=1": "501 5.5.4",
    "FROM:<a@b> SIZE=²": "501 5.5.4",
    "FROM:<a@b> BODY=BINARYMIME": "501 5.5.4",
    "FROM:<a@b> BODY": "501 5.5.4",
    "FROM:<a@b> SMTPUTF8=1": "501 5.5.4",
    "FROM:<a@b> RET=SOME": "501 5.5.4",
    "FROM:<a@b> ENVID": "501 5.5.4",
    "FROM:<a@b> ENVID=a+0D+0AX": "501 5.5.4",  # a header of its own in the report
    "FROM:<a@b> ENVID=a+2": "501 5.5.4",
    f"FROM:<a@b> ENVID={'x' * 101}": "501 5.5.4",
    "FROM:<a@b> NOTIFY=NEVER": "555 5.5.4",
    "FROM:<a@b> X=1": "555 5.5.4",
    "FROM:<a>": "501 5.1.3",
    "FROM:<@b>": "501 5.1.3",
    "FROM:<a@>": "501 5.1.3",
    'FROM:<"a@b>': "501 5.5.4",
    'FROM:<a"b"@c>': "501 5.1.3",
    "FROM:<a,b@c>": "501 5.1.3",
    "FROM:<a(b)@c>": "501 5.1.3",
    'FROM:<""@c>': "501 5.1.3",
    "FROM:<a@b;c>": "501 5.1.3",
    "FROM:<a\x07@b>": "501 5.1.3",
    f"FROM:<{'x' * 65}@b>": "501 5.1.3",
    f"FROM:<a@{'x' * 256}>": "501 5.1.3",
    "FROM:<ä@b>": "553 5.6.7",
    "FROM:<\udcff@b> SMTPUTF8": "501 5.6.7",
}


@pytest.mark.parametrize(("argument", "reply"), REJECTED.items(), ids=[ascii(argument) for argument in REJECTED])
def test_mail_rejected(argument: str, reply: str) -> None:
    with pytest.raises(Rejected) as caught:
        mail_command(argument)
    assert caught.value.reply.startswith(reply + " ")


@pytest.mark.parametrize(
    ("argument", "reply"),
    {
        "TO:<>": "501 5.1.3",
        "TO:<1@b> NOTIFY=NEVER,SUCCESS": "501 5.5.4",
        "TO:<1@b> NOTIFY=": "501 5.5.4",
        "TO:<1@b> NOTIFY": "501 5.5.4",
        "TO:<1@b> ORCPT=rfc822": "501 5.5.4",
        "TO:<1@b> ORCPT=;x": "501 5.5.4",
        "TO:<1@b> ORCPT=rfc822;": "501 5.5.4",
        "TO:<1@b> SIZE=1": "555 5.5.4",
    }.items(),
)
def test_rcpt_rejected(argument: str, reply: str) -> None:
    with pytest.raises(Rejected) as caught:
        rcpt_command(argument)
    assert caught.value.reply.startswith(reply + " ")


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("+44@SMS.Example.", ("+44", "sms.example")),
        (r'"+44 \"7700\""@x', ('+44 "7700"', "x")),
        ('"a@b"@x', ("a@b", "x")),
    ],
)
def test_split_address(address: str, parts: tuple[str, str]) -> None:
    assert split_address(address) == parts


@given(st.text(alphabet=st.characters(codec=None), max_size=60))
def test_any_argument_is_followed_or_rejected_with_one_line(argument: str) -> None:
    for command, prefix in ((mail_command, "FROM:"), (rcpt_command, "TO:"), (mail_command, "")):
        reply = "250"
        try:
            command(prefix + argument)
        except Rejected as error:
            reply = error.reply
        assert reply[:1] in "25"
        assert "\n" not in reply
