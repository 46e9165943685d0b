"""What a server's proof is worth: bound to the connection or nothing, and only a front end acts for anybody."""

from __future__ import annotations

import pytest

from postern.directory.interface import Server
from postern.services.mechanisms.context import Admission, Proved
from postern.services.negotiation import Accepted, Circumstances

PRINCIPAL = "FRONT$@CORP.EXAMPLE.ORG"


@pytest.mark.parametrize(
    ("bound", "front_end", "named", "cause"),
    [
        (True, True, "anna@example.org", ""),
        (False, True, "anna@example.org", "bound to no TLS connection"),
        (True, False, "anna@example.org", "it is no front end"),
        (True, True, "", "names nobody to act for"),
        (True, True, "post@example.org", "nobody signs in as that"),
    ],
)
async def test_what_a_servers_ticket_opens(world, bound, front_end, named, cause):
    await world.directory.put_server(Server("front.example.org", principal=PRINCIPAL, front_end=front_end))
    proved = Proved("", "Kerberos", bound=bound, principal=PRINCIPAL, nobody=f"{PRINCIPAL} is no user")
    outcome = await Admission(world.open()).admit(proved, Circumstances("192.0.2.7", "imap"), named)
    assert isinstance(outcome, Accepted) is (not cause), outcome
    if isinstance(outcome, Accepted):
        assert (outcome.principal.address, outcome.principal.front_end) == ("anna@example.org", "front.example.org")
    else:
        assert cause in outcome.detail
