"""Running a checked program over a message: from commands to the list of actions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from postern.formats.sieve.checker import MAX_VACATION_S, bare_address
from postern.formats.sieve.environment import USES, Environment
from postern.formats.sieve.message import Message
from postern.formats.sieve.syntax import LIMITS, Node, Program, RuntimeProblem, SieveError, Value
from postern.formats.sieve.testing import Tests
from postern.formats.sieve.variables import Frame, Variables, flags, modified
from postern.model.actions import Action, Decision, Redirect, Reject, Store, Target, Vacation

DAY_S = 86_400


class _Stop(Exception):  # noqa: N818
    """`stop`."""


class _Return(Exception):  # noqa: N818
    """`return`."""


def evaluate(program: Program, message: Message, environment: Environment) -> Decision:
    """What a script does with a message. Never raises for what script or message say, and always ends.

    A script that fails on the way has done nothing: the message is kept, and `problem` says why.
    """
    run = _Run(program, message, environment)
    try:
        return run.whole()
    except RuntimeProblem as problem:
        return Decision(problem=str(problem))


class _Run:
    def __init__(self, program: Program, message: Message, environment: Environment) -> None:
        self._program = program
        self._message = message
        self._environment = environment
        self._variables = Variables(program)
        self._tests = Tests(message, environment, self._variables)
        self._actions: list[Action] = []
        self._implicit = True
        self._depth = 0
        self._includes: list[str] = []
        self._running: list[str] = []

    def whole(self) -> Decision:
        with contextlib.suppress(_Stop, _Return):
            self._block(self._program.nodes)
        if self._implicit:
            self._store(Target("INBOX"), self._tests.flags, explicit=False)
        return Decision(tuple(self._actions), remember=tuple(self._tests.remember.values()), implicit=self._implicit)

    def _block(self, nodes: Sequence[Node]) -> None:
        taken = False
        for node in nodes:
            self._tests.step()
            if node.name in ("if", "elsif", "else"):
                if node.name == "if":
                    taken = False
                if not taken and (node.name == "else" or self._tests.holds(node.tests[0])):
                    taken = True
                    self._block(node.block)
                continue
            try:
                _COMMANDS[node.name](self, node)
            except RuntimeProblem as problem:
                raise _located(problem, node) from problem

    # --- what comes of it

    def _act(self, action: Action) -> None:
        if action in self._actions:
            return
        rejected = any(isinstance(one, Reject) for one in self._actions)
        if rejected or (isinstance(action, Reject) and self._actions):
            raise RuntimeProblem("`reject` goes with no other action")
        if len(self._actions) >= LIMITS.actions:
            raise RuntimeProblem(f"more than {LIMITS.actions} actions")
        self._actions.append(action)

    def _store(self, target: Target, flags_: Sequence[str], *, explicit: bool = True) -> None:
        """A folder gets one copy, with the flags that it was given first."""
        header = self._message.edited_header()
        same = target if target.name.upper() != "INBOX" else Target("INBOX")
        for one in self._actions:
            if isinstance(one, Store) and (one.target.name, one.target.special) == (same.name, same.special):
                if explicit:
                    self._actions[self._actions.index(one)] = Store(one.target, tuple(flags_), one.header)
                return
        if not explicit and any(isinstance(one, Reject) for one in self._actions):
            return
        self._act(Store(same, tuple(flags_), header))

    def _flags(self, node: Node) -> list[str]:
        if "flags" in node.tags:
            return flags(self._variables.texts(node.tags["flags"]))
        return list(self._tests.flags)

    # --- commands

    def _stop(self, _node: Node) -> None:
        raise _Stop

    def _keep(self, node: Node) -> None:
        self._implicit = False
        self._store(Target("INBOX"), self._flags(node))

    def _discard(self, _node: Node) -> None:
        self._implicit = False

    def _redirect(self, node: Node) -> None:
        (written,) = self._variables.texts(node.arguments[0])
        address = bare_address(written)
        if address is None:
            raise RuntimeProblem(f"{written[:100]!r} is not an address")
        if "copy" not in node.tags:
            self._implicit = False
        if any(isinstance(one, Redirect) and one.address.lower() == address.lower() for one in self._actions):
            return
        if sum(isinstance(one, Redirect) for one in self._actions) >= LIMITS.redirects:
            raise RuntimeProblem(f"more than {LIMITS.redirects} redirects")
        self._act(Redirect(address, self._message.edited_header()))

    def _fileinto(self, node: Node) -> None:
        (name,) = self._variables.texts(node.arguments[0])
        name = name.strip("/")
        if not name or len(name) > 1000 or any(not c.isprintable() for c in name):
            raise RuntimeProblem(f"{name[:100]!r} is not the name of a folder")
        use = USES.get("".join(self._variables.texts(node.tags.get("specialuse"))).lower())
        if "copy" not in node.tags:
            self._implicit = False
        target = Target(name, create="create" in node.tags)
        if use is not None:
            target = Target(name, use, create="create" in node.tags)
        self._store(target, self._flags(node))

    def _reject(self, node: Node) -> None:
        (text,) = self._variables.texts(node.arguments[0])
        self._act(Reject(text, status=node.name == "ereject"))
        self._implicit = False

    def _vacation(self, node: Node) -> None:
        tags, texts = node.tags, self._variables.texts
        if any(isinstance(one, Vacation) for one in self._actions):
            raise RuntimeProblem("`vacation` may be used once")
        (reason,) = texts(node.arguments[0])
        days, seconds = tags.get("days"), tags.get("seconds")
        period = 7 * DAY_S
        if isinstance(days, int):
            period = max(DAY_S, days * DAY_S)
        elif isinstance(seconds, int):
            period = seconds
        sender = "".join(texts(tags.get("from")))
        if sender and bare_address(sender) is None:
            raise RuntimeProblem(f"{sender[:100]!r} is not an address")
        self._act(
            Vacation(
                reason,
                "mime" in tags,
                "".join(texts(tags.get("subject"))),
                sender,
                tuple(texts(tags.get("addresses"))),
                "".join(texts(tags.get("handle"))),
                min(period, MAX_VACATION_S),
            )
        )

    def _set(self, node: Node) -> None:
        (name,) = self._variables.texts(node.arguments[0])
        (value,) = self._variables.texts(node.arguments[1])
        self._variables.set(name, modified(value, tuple(node.tags)))

    def _change_flags(self, node: Node) -> None:
        given = flags(self._variables.texts(node.arguments[-1]))
        name = self._variables.texts(node.arguments[0])[0].lower() if len(node.arguments) == 2 else None
        present = list(self._tests.flags) if name is None else flags([self._variables.get(name)])
        if node.name == "setflag":
            present = given
        elif node.name == "addflag":
            present = flags([*present, *given])
        else:
            gone = {flag.lower() for flag in given}
            present = [flag for flag in present if flag.lower() not in gone]
        if name is None:
            self._tests.flags = present
        else:
            self._variables.set(name, " ".join(present))

    def _global(self, node: Node) -> None:
        frame = self._variables.frame
        for name in self._variables.texts(node.arguments[0]):
            if name.lower() in frame.variables:  # RFC 6609 3.4.1
                raise RuntimeProblem(f"the variable {name!r} was set before it was made global")
            frame.shared.add(name.lower())

    def _return(self, _node: Node) -> None:
        raise _Return

    def _include(self, node: Node) -> None:
        (name,) = self._variables.texts(node.arguments[0])
        if "once" in node.tags and name in self._includes:
            return
        if name in self._running:
            raise RuntimeProblem(f"the script {name!r} includes itself")
        if len(self._running) >= LIMITS.include_depth or len(self._includes) >= LIMITS.includes:
            raise RuntimeProblem("too many scripts include each other")
        program = None
        if "global" not in node.tags:
            try:
                program = self._environment.script(name)
            except SieveError as wrong:
                raise RuntimeProblem(f"the script {name!r} is not valid: {wrong.problems[0]}") from wrong
        if program is None:
            if "optional" in node.tags:
                return
            raise RuntimeProblem(f"there is no script {name!r} to include")
        self._includes.append(name)
        self._running.append(name)
        outer, self._variables.frame = self._variables.frame, Frame(program)
        try:
            self._block(program.nodes)
        except _Return:
            pass
        finally:
            self._variables.frame = outer
            self._running.pop()

    def _addheader(self, node: Node) -> None:
        (name,) = self._variables.texts(node.arguments[0])
        (value,) = self._variables.texts(node.arguments[1])
        if not name or not all("!" <= c <= "~" and c != ":" for c in name):
            raise RuntimeProblem(f"{name[:100]!r} is not a field name")
        self._message.add(name, value, last="last" in node.tags)

    def _deleteheader(self, node: Node) -> None:
        (name,) = self._variables.texts(node.arguments[0])
        values = self._message.own_values(name)
        chosen = [True] * len(values)
        if len(node.arguments) == 2:
            chosen = self._tests.chosen(node.tags, values, node.arguments[1])
        index = node.tags.get("index")
        if isinstance(index, int):
            at = len(values) - index if "last" in node.tags else index - 1
            chosen = [one and number == at for number, one in enumerate(chosen)]
        self._message.delete(name, chosen)


def _located(problem: RuntimeProblem, node: Node) -> RuntimeProblem:
    text = str(problem)
    return problem if text.startswith("line ") else RuntimeProblem(f"line {node.line}: {text}")


_COMMANDS: dict[str, Callable[[_Run, Node], None]] = {
    "addflag": _Run._change_flags,
    "addheader": _Run._addheader,
    "deleteheader": _Run._deleteheader,
    "discard": _Run._discard,
    "ereject": _Run._reject,
    "fileinto": _Run._fileinto,
    "global": _Run._global,
    "include": _Run._include,
    "keep": _Run._keep,
    "redirect": _Run._redirect,
    "reject": _Run._reject,
    "removeflag": _Run._change_flags,
    "return": _Run._return,
    "set": _Run._set,
    "setflag": _Run._change_flags,
    "stop": _Run._stop,
    "vacation": _Run._vacation,
}

__all__ = ["Value", "evaluate"]
