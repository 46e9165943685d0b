"""What findings say, in English and Russian: the difference, and what to do next."""

from __future__ import annotations

from postern.catalogue.schema import Names
from postern.checks.model import Finding, Severity

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTICE

_TEXTS: dict[str, tuple[Severity, Names, Names]] = {
    "closed": (
        E,
        Names("nothing listens on the port", "порт никто не слушает"),
        Names(
            "Start the service on {host}, or open {port} in a firewall that rejects it.",
            "Запустите службу на {host} или откройте {port} в межсетевом экране, который отказывает.",
        ),
    ),
    "silent": (
        E,
        Names("no answer in time", "нет ответа за отведённое время"),
        Names(
            "Open {port} to {host} in the firewalls on the way (see `postern firewall`), or start the host.",
            "Откройте {port} к {host} в межсетевых экранах на пути (см. `postern firewall`) или включите узел.",
        ),
    ),
    "unreachable": (
        E,
        Names("there is no way to the address", "к адресу нет пути"),
        Names(
            "Check the address of {host} in the topology, and routing from here.",
            "Проверьте адрес {host} в топологии и маршрутизацию отсюда.",
        ),
    ),
    "wrong-protocol": (
        E,
        Names("something else answers: {found}", "отвечает что-то другое: {found}"),
        Names(
            "See which program has {port} on {host}; a proxy or a firewall on the way may answer in its place.",
            "Посмотрите, какая программа занимает {port} на {host}; вместо неё может отвечать прокси или экран.",
        ),
    ),
    "starttls-missing": (
        E,
        Names("encryption is not offered", "шифрование не предлагается"),
        Names(
            "Give the service on {host} a certificate and switch STARTTLS on. If it is on, a device on the way removes"
            " it (SMTP inspection): switch that off.",
            "Дайте службе на {host} сертификат и включите STARTTLS. Если он включён, его вырезает устройство на пути"
            " (проверка SMTP): отключите её.",
        ),
    ),
    "starttls-refused": (
        E,
        Names("STARTTLS is offered and then refused: {found}", "STARTTLS предлагается, но отклоняется: {found}"),
        Names(
            "Look at the log of {host}: mostly its certificate or its private key cannot be read.",
            "Посмотрите журнал {host}: чаще всего не читается сертификат или закрытый ключ.",
        ),
    ),
    "tls-failed": (
        E,
        Names("the TLS handshake fails: {found}", "согласование TLS не удаётся: {found}"),
        Names(
            "Check that {port} of {host} is meant to begin with TLS, and its certificate and versions.",
            "Проверьте, что {port} на {host} должен начинаться с TLS, его сертификат и версии.",
        ),
    ),
    "tls-old-only": (
        E,
        Names("only {found} is known", "известна только {found}"),
        Names("Switch TLS 1.2 and 1.3 on at {host}.", "Включите на {host} TLS 1.2 и 1.3."),
    ),
    "tls-old": (
        W,
        Names("{found} is accepted too", "принимается и {found}"),
        Names(
            "Switch versions before TLS 1.2 off at {host} (RFC 8996), once no old client needs them.",
            "Отключите на {host} версии до TLS 1.2 (RFC 8996), когда они не нужны старым клиентам.",
        ),
    ),
    "mechanism-missing": (
        E,
        Names("not offered: {expected}; offered: {found}", "не предлагается {expected}; предлагается: {found}"),
        Names(
            "Allow {expected} in the settings of this service at {host}.",
            "Разрешите {expected} в настройках этой службы на {host}.",
        ),
    ),
    "mechanism-extra": (
        W,
        Names("offered beyond the catalogue: {found}", "предлагается сверх каталога: {found}"),
        Names(
            "Switch {found} off at {host} unless somebody needs it.",
            "Отключите {found} на {host}, если это никому не нужно.",
        ),
    ),
    "password-in-clear": (
        E,
        Names("passwords are taken without encryption: {found}", "пароли принимаются без шифрования: {found}"),
        Names(
            "Let {host} offer {found} after encryption only.",
            "Пусть {host} предлагает {found} только после включения шифрования.",
        ),
    ),
    "certificate-expired": (
        E,
        Names("the certificate ended on {found}", "срок сертификата истёк {found}"),
        Names("Renew the certificate of {host}.", "Обновите сертификат {host}."),
    ),
    "certificate-early": (
        E,
        Names("the certificate is good from {found} only", "сертификат действует только с {found}"),
        Names("Check the clocks of {host} and of this machine.", "Проверьте часы {host} и этой машины."),
    ),
    "certificate-ends": (
        W,
        Names("the certificate ends on {found}", "срок сертификата истекает {found}"),
        Names("Renew the certificate of {host} in time.", "Обновите сертификат {host} заранее."),
    ),
    "certificate-name": (
        E,
        Names("the certificate is for {found}, not for {expected}", "сертификат выдан на {found}, а не на {expected}"),
        Names(
            "Give {host} a certificate with {expected} in its subjectAltName, or use one of its names.",
            "Дайте {host} сертификат с {expected} в subjectAltName или обращайтесь по одному из его имён.",
        ),
    ),
    "certificate-untrusted": (
        W,
        Names("the certificate is not trusted here: {found}", "сертификату здесь не доверяют: {found}"),
        Names(
            "Give {host} a certificate of an authority that its clients trust and send the intermediate ones with it;"
            " name your own authority by --trust FILE.",
            "Дайте {host} сертификат центра, которому доверяют клиенты, вместе с промежуточными; свой центр назовите"
            " ключом --trust ФАЙЛ.",
        ),
    ),
    "certificate-own": (
        N,
        Names("a self-signed certificate", "самозаверенный сертификат"),
        Names(
            "That is usual between servers, which encrypt without an authority.",
            "Это обычно между серверами: они шифруют без центра сертификации.",
        ),
    ),
    "certificate-weak": (
        W,
        Names("the certificate is weak: {found}", "сертификат слабый: {found}"),
        Names(
            "Renew it with RSA 2048 or EC P-256 or better, and SHA-256.",
            "Выпустите его заново с RSA 2048 или EC P-256 (или лучше) и SHA-256.",
        ),
    ),
    "directory-missing": (
        E,
        Names("no virtual directory {expected}: {found}", "нет виртуального каталога {expected}: {found}"),
        Names(
            "Make {expected} at {host} (Exchange: New-...VirtualDirectory), or publish it through the proxy.",
            "Создайте {expected} на {host} (Exchange: New-...VirtualDirectory) или опубликуйте его через прокси.",
        ),
    ),
    "directory-broken": (
        E,
        Names("{expected} answers {found}", "{expected} отвечает {found}"),
        Names(
            "Look at the application pools and the event log of {host}.",
            "Посмотрите пулы приложений и журнал событий {host}.",
        ),
    ),
    "directory-open": (
        W,
        Names("{expected} asks for no password: {found}", "{expected} не спрашивает пароль: {found}"),
        Names(
            "Switch anonymous access off there, unless a form asks for the password.",
            "Отключите там анонимный доступ, если пароль не спрашивает форма.",
        ),
    ),
    "challenge-missing": (
        W,
        Names(
            "the challenge has none of {expected}: {found}", "в запросе проверки подлинности нет {expected}: {found}"
        ),
        Names(
            "Allow one of {expected} for this virtual directory of {host} (Set-...VirtualDirectory).",
            "Разрешите что-либо из {expected} для этого виртуального каталога {host} (Set-...VirtualDirectory).",
        ),
    ),
    "no-records": (
        W,
        Names("the server has no {found}", "на сервере нет {found}"),
        Names(
            "Add the records, or let {host} forward to the server that has them.",
            "Добавьте записи или настройте на {host} пересылку серверу, где они есть.",
        ),
    ),
    "clock": (
        E,
        Names(
            "its clock differs by {found}; Kerberos allows {expected}",
            "часы расходятся на {found}; Kerberos допускает {expected}",
        ),
        Names("Set the clocks of {host} and of this machine.", "Выставьте часы {host} и этой машины."),
    ),
    "not-ready": (
        W,
        Names("the global catalogue is not ready", "глобальный каталог не готов"),
        Names("Wait for the replication of {host}.", "Дождитесь репликации {host}."),
    ),
    "no-interfaces": (
        E,
        Names("no interface is registered for TCP", "ни один интерфейс не зарегистрирован для TCP"),
        Names("Start the RPC services of {host}.", "Запустите службы RPC на {host}."),
    ),
}

CODES = tuple(_TEXTS)


def make(
    code: str,
    *,
    host: str,
    port: str,
    path: str = "",
    expected: str = "",
    found: str = "",
    severity: Severity | None = None,
) -> Finding:
    """A finding in words. `severity` overrides the usual one."""
    usual, text, advice = _TEXTS[code]
    values = {"host": host, "port": port, "expected": expected, "found": found}
    return Finding(code, severity or usual, path, expected, found, _filled(text, values), _filled(advice, values))


def _filled(names: Names, values: dict[str, str]) -> Names:
    return Names(names.en.format(**values), names.ru.format(**values))
