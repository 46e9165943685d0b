"""Thunderbird without a screen, driven by its own remote protocol (Marionette), for its LDAP address book."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.ports import free_port

SCRIPT = """
const [uri, user, password, query, host, port, certificate, resolve] = arguments;
(async () => {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const authority = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService)
    .rememberValidityOverride(host, port, {}, authority.constructX509FromBase64(certificate), true);
  const name = MailServices.ab.newAddressBook("Postern", uri, Ci.nsIAbManager.LDAP_DIRECTORY_TYPE);
  const book = MailServices.ab.getDirectoryFromId(name).QueryInterface(Ci.nsIAbLDAPDirectory);
  book.authDn = user;
  // where its prompt for the password looks first
  const origin = book.lDAPURL.prePath;
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(origin, null, origin + book.lDAPURL.pathQueryRef, "", password, "", "");
  await Services.logins.addLoginAsync(login);
  const found = [];
  const status = await new Promise(done => {
    book.search(query, "", {
      onSearchFoundCard(card) {
        found.push([card.displayName, card.primaryEmail, card.lastName, card.getProperty("Department", "")]);
      },
      onSearchFinished(code) { done(code); },
    });
  });
  resolve(JSON.stringify({ status, found: found.sort() }));
})().catch(problem => resolve(JSON.stringify({ problem: String(problem) })));
"""


class Marionette:
    """`length:[type, id, command, parameters]` over TCP."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", port), 60)
                break
            except OSError:
                assert time.monotonic() < end and process.poll() is None, "Thunderbird does not start"
                time.sleep(0.2)
        self.file = self.sock.makefile("rb")
        self.number = 0
        self._read()

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            octet = self.file.read(1)
            assert octet, "Thunderbird is gone"
            length += octet
        return json.loads(self.file.read(int(length[:-1])))

    def ask(self, command: str, **parameters: Any) -> Any:
        self.number += 1
        data = json.dumps([0, self.number, command, parameters]).encode()
        self.sock.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def search(
    program: str, home: Path, place: tuple[int, str, Path], user: str, password: str, query: str
) -> dict[str, Any]:
    """What Thunderbird's address book finds; `place` is a port, the base and the server's certificate."""
    ldap_port, base, certificate = place
    uri = f"ldaps://127.0.0.1:{ldap_port}/{base}??sub?(objectclass=*)"
    lines = certificate.read_text().splitlines()
    base64 = "".join(lines[1 : lines.index("-----END CERTIFICATE-----")])
    port = free_port()
    profile = home / "profile"
    profile.mkdir(parents=True)
    preferences = {
        "marionette.port": port,
        "mail.provider.suppress_dialog_on_startup": True,
        "app.donation.eoy.version.viewed": 999,
        "datareporting.policy.dataSubmissionEnabled": False,
        "toolkit.telemetry.enabled": False,
        "app.update.enabled": False,
        "extensions.update.enabled": False,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
    }
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
    (profile / "user.js").write_text("\n".join(lines))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile",
             str(profile)],
            stdout=log, stderr=log, env={**os.environ, "HOME": str(home), "MOZ_HEADLESS": "1"}, start_new_session=True,
        )  # fmt: skip
    try:
        client = Marionette(port, process)
        try:
            client.ask("WebDriver:NewSession", capabilities={})
            client.ask("Marionette:SetContext", value="chrome")
            client.ask("WebDriver:SetTimeouts", script=30000)
            answer = client.ask(
                "WebDriver:ExecuteAsyncScript",
                script=SCRIPT,
                args=[uri, user, password, query, "127.0.0.1", ldap_port, base64],
                newSandbox=True,
            )
            return dict(json.loads(answer["value"]))
        finally:
            client.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
