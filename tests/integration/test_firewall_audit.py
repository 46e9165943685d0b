"""The audit reads what nft and iptables themselves print, and the program says so in words, JSON and its exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from tests.unit.firewall.migration import FLOWS, TEXT, TOPOLOGY

from postern.firewall.formats import FORMATS

pytestmark = pytest.mark.integration

POST = TOPOLOGY.host("post")
NEEDS = {"nftables": ["nft"], "iptables": ["iptables-restore", "ip6tables-restore", "iptables-save"]}
LOAD = {
    "nftables": "nft -f $1; {more} nft -j list ruleset",
    "iptables": "iptables-restore < $1; ip6tables-restore < $1; {more} iptables-save; ip6tables-save",
}
PLANTED = {
    "nftables": """
        nft insert rule inet postern input ip saddr 10.50.0.0/16 tcp dport 993 drop
        nft insert rule inet postern input ip saddr 10.50.0.0/16 tcp dport '{ 587, 600-630 }' reject
        nft add chain inet postern watch
        nft add rule inet postern watch ip daddr 10.2.0.20 tcp dport 25 drop
        nft insert rule inet postern input ip saddr 192.0.2.5 jump watch
        nft add rule inet postern input tcp dport 3389 accept
        nft add set inet postern talkers '{ type ipv4_addr . inet_service; }'
        nft add element inet postern talkers '{ 192.0.2.9 . 5432 }'
        nft add rule inet postern input ip saddr . tcp dport @talkers accept
        nft add rule inet postern input ip saddr 10.50.0.0/16 udp dport vmap '{ 161 : accept, 162 : drop }'
    """,
    "iptables": """
        iptables -I INPUT -s 10.50.0.0/16 -p tcp --dport 993 -j DROP
        iptables -I INPUT -s 10.50.0.0/16 -p tcp -m multiport --dports 587,600:630 -j REJECT
        iptables -N watch
        iptables -A watch -d 10.2.0.20 -p tcp --dport 25 -j DROP
        iptables -I INPUT -s 192.0.2.5 -j watch
        iptables -A INPUT -p tcp --dport 3389 -j ACCEPT
        iptables -A INPUT -m iprange --src-range 192.0.2.9-192.0.2.9 -p tcp --dport 5432 -j ACCEPT
        iptables -A INPUT -s 10.50.0.0/16 -p udp --dport 161 -j ACCEPT
    """,
}


def in_a_network_of_its_own(script: str, argument: str) -> str:
    alone = ["unshare", "--map-root-user", "--net"] if os.geteuid() else ["unshare", "--net"]
    done = subprocess.run(
        [*alone, "sh", "-ec", script, "sh", argument],
        capture_output=True, text=True, timeout=60, env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["nftables", "iptables"])
def program(request):
    for name in NEEDS[request.param]:
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{name} is not installed: run scripts/install-test-parts as root")
    return request.param


@pytest.fixture
def printed(program, tmp_path):
    """What the program prints after loading our rules, and changes to them."""

    def make(host, more=""):
        file = tmp_path / "rules"
        file.write_text(FORMATS[program](TOPOLOGY, FLOWS, host))
        return in_a_network_of_its_own(LOAD[program].replace("{more}", more), str(file))

    return make


def postern(tmp_path, ruleset, *words):
    (tmp_path / "topology.toml").write_text(TEXT)
    command = [sys.executable, "-m", "postern", "firewall", "audit", "-", "--topology", str(tmp_path / "topology.toml")]
    return subprocess.run([*command, *words], input=ruleset, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("host", ["post", "ex16", "edge", "dc", ""])
def test_nothing_is_found_in_our_own_rules_once_loaded(printed, tmp_path, host):
    named = ["--host", host] if host else []
    done = postern(tmp_path, printed(TOPOLOGY.host(host) if host else None), "--json", *named)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["agrees"]
    assert report["missing"] == report["surplus"] == report["not_understood"] == []
    assert report["ip_versions"] == [4, 6]


def test_planted_faults_are_found(program, printed, tmp_path):
    ruleset = printed(POST, PLANTED[program])
    done = postern(tmp_path, ruleset, "--json", "--host", "post")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["not_understood"] == []
    missing = {(*found["source"], *found["ports"]) for found in report["missing"]}
    assert missing == {("clients", "993/tcp"), ("clients", "587/tcp"), ("edge", "25/tcp")}
    assert all(found["breaks"] for found in report["missing"])
    surplus = {(found["source"][0], *found["ports"]) for found in report["surplus"]}
    assert surplus == {("0.0.0.0/0", "3389/tcp"), ("192.0.2.9", "5432/tcp"), ("10.50.0.0/16", "161/udp")}


def test_the_report_in_words(program, printed, tmp_path):
    ruleset = printed(POST, PLANTED[program])
    done = postern(tmp_path, ruleset, "--host", "post")
    assert "3 missing, 3 surplus" in done.stdout
    assert "every IPv4 address > post  3389/tcp" in done.stdout
    assert f"postern firewall --format {program} --topology" in done.stdout
    russian = postern(tmp_path, ruleset, "--host", "post", "--lang", "ru")
    assert "Не хватает: 3, лишних: 3" in russian.stdout


def test_only_what_is_not_understood_ends_with_three(program, printed, tmp_path):
    more = {
        "nftables": "nft add rule inet postern input iifname eth9 tcp dport 22 accept;",
        "iptables": "iptables -A INPUT -i eth9 -p tcp --dport 22 -j ACCEPT;",
    }[program]
    done = postern(tmp_path, printed(POST, more), "--host", "post")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "eth9" in done.stdout


def test_encryption_counts_if_asked(printed, tmp_path):
    done = postern(tmp_path, printed(POST), "--host", "post", "--strict")
    assert done.returncode == 1
    assert "UNENCRYPTED" in done.stdout
