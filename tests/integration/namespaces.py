"""A network of namespaces: one router, one computer behind each of its links. Runs inside a fresh network namespace.

    unshare --map-root-user --net python -m tests.integration.namespaces < plan.json

The plan: {"computers": {name: [addresses]}, "filters": {name or "": [command with its input, ...]},
"listen": {name: [[address, transport, port]]}, "connect": {name: [[source, address, transport, port]]}}.
Prints {name: [true or false for each connection]}.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

AGENT = Path(__file__).with_name("namespace_agent.py")


def run(*words, text="", inside=None):
    prefix = ["nsenter", "--net", f"--target={inside}"] if inside else []
    done = subprocess.run([*prefix, *words], input=text, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")


def forward():
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
    run("ip", "link", "set", "lo", "up")


def plug(number, pid, addresses):
    """A cable from the router to a computer, with routes both ways."""
    here, there = f"r{number}", "eth0"
    run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", str(pid))
    run("ip", "addr", "add", "169.254.1.1/32", "dev", here)
    run("ip", "addr", "add", "fe80::1/64", "dev", here, "nodad")
    run("ip", "link", "set", here, "up")
    run("ip", "link", "set", "lo", "up", inside=pid)
    run("ip", "link", "set", there, "up", inside=pid)
    run("ip", "route", "add", "169.254.1.1/32", "dev", there, inside=pid)
    for address in addresses:
        bits, gateway = ("128", "fe80::1") if ":" in address else ("32", "169.254.1.1")
        nodad = ["nodad"] if ":" in address else []
        run("ip", "addr", "add", f"{address}/{bits}", "dev", there, *nodad, inside=pid)
        run("ip", "route", "replace", "default", "via", gateway, "dev", there, inside=pid)
        run("ip", "route", "add", f"{address}/{bits}", "dev", here)


def main():
    plan = json.load(sys.stdin)
    forward()
    agents = {}
    try:
        for name in plan["computers"]:
            agents[name] = subprocess.Popen(
                ["unshare", "--net", sys.executable, str(AGENT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        for name in agents:  # an answer means that unshare is done
            ask(agents[name], {"listen": []})
        for number, (name, addresses) in enumerate(plan["computers"].items()):
            plug(number, agents[name].pid, addresses)
        for name, wanted in plan["listen"].items():
            ask(agents[name], {"listen": wanted})
        for name, commands in plan["filters"].items():
            for words, text in commands:
                for _ in range(2):  # loading it again must be possible and change nothing
                    run(*words, text=text, inside=agents[name].pid if name else None)
        for name, wanted in plan["connect"].items():
            send(agents[name], {"connect": wanted})
        print(json.dumps({name: json.loads(agents[name].stdout.readline()) for name in plan["connect"]}))
    finally:
        for agent in agents.values():
            agent.stdin.close()
            agent.wait(60)


def send(agent, document):
    agent.stdin.write(json.dumps(document) + "\n")
    agent.stdin.flush()


def ask(agent, document):
    send(agent, document)
    return json.loads(agent.stdout.readline())


if __name__ == "__main__":
    main()
