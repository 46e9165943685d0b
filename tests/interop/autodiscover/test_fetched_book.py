"""curl fetches the offline address book as the running server makes it, by NTLM and Basic; libmspack unpacks it."""

from __future__ import annotations

import re
import time

import pytest
from tests.unit.formats.mspack import Mspack

from postern.formats.oab import details

pytestmark = pytest.mark.interop


def test_the_book_is_made_by_itself_and_fetched(mail_network, program, tmp_path):
    program("curl")
    person = mail_network.person("boris")

    def fetch(url: str, how: str) -> bytes:
        target = tmp_path / "fetched"
        mail_network.run("curl", "-sSf", f"--{how}", "-u", f"{person.address}:{person.password}", "-o", str(target),
                         "--cacert", str(mail_network.authority), url)  # fmt: skip
        return target.read_bytes()

    xml = mail_network.run(
        "curl", "-sS", "-u", f"{person.address}:{person.password}", "-H", "Content-Type: text/xml", "--cacert",
        str(mail_network.authority), "https://autodiscover.example.org/Autodiscover/Autodiscover.xml", "--data-binary",
        f"<Autodiscover><Request><EMailAddress>{person.address}</EMailAddress><AcceptableResponseSchema>"
        "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
        "</AcceptableResponseSchema></Request></Autodiscover>",
    ).stdout  # fmt: skip
    place = re.search(r"<OABUrl>([^<]+)</OABUrl>", xml)[1]
    end = time.monotonic() + 60
    while True:
        done = mail_network.run("curl", "-sS", "-w", "%{http_code}", "-o", "/dev/null", "--cacert",
                                str(mail_network.authority), "-u", f"{person.address}:{person.password}",
                                f"{place}oab.xml")  # fmt: skip
        if done.stdout == "200":
            break
        assert done.stdout == "503" and time.monotonic() < end, done.stdout
        time.sleep(0.5)
    manifest = fetch(f"{place}oab.xml", "ntlm").decode()
    lists = re.findall(r'name="\\([^"]+)">.*?<Full [^>]*>([^<]+)</Full>', manifest)
    assert lists[0][0] == "Global Address List"
    raw = Mspack(tmp_path).full(fetch(place + lists[0][1], "basic"))
    assert len(details.split(raw)) == 1 + len(mail_network.listed)
    for address in mail_network.listed:
        assert address.encode() in raw
