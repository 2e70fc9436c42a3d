"""What a source's server asks for before it gives pictures: no setting, and written nowhere."""

import base64
import dataclasses
from urllib.parse import urlsplit

from imagenet_tasks.errors import ConfigError, keep_secret


@dataclasses.dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a source's server asks for. It comes from the workflow engine's secrets and is written nowhere.

    Args:
        host: `host:port` that it is sent to, and to no other.
        authorization: the value of the Authorization header.
        secrets: what else must be shown to nobody.
    """

    host: str
    authorization: str = dataclasses.field(repr=False)
    secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    def __post_init__(self) -> None:
        keep_secret(*self.secrets, self.authorization, self.authorization.partition(" ")[2])


def make_credentials(
    connection: str, *, host: str | None, scheme: str | None, port: int | None, login: str | None, password: str | None
) -> Credentials:
    """Returns what a connection of the workflow engine holds: login and password, or a password alone as a token.

    Raises:
        ConfigError: where the connection has no host or no password.
    """
    login, password = (login or "").strip(), (password or "").strip()
    try:
        url = urlsplit(host if host and "://" in host else f"{scheme or 'https'}://{host or ''}")
        port = port or url.port or {"http": 80, "https": 443}.get(url.scheme)
    except ValueError as error:
        raise ConfigError(f"connection: {connection!r} has a host that is none: {error}") from error
    if not (login + password).isprintable():
        raise ConfigError(f"connection: {connection!r} has a login or password with control characters in it")
    if not url.hostname or not password:
        raise ConfigError(
            f"connection: {connection!r} has no {'password' if url.hostname else 'host'}. Expected an HTTP connection "
            "with the host of the pictures' server and a login with its password, or a token as the password."
        )
    basic = base64.b64encode(f"{login}:{password}".encode()).decode()
    authorization = f"Basic {basic}" if login else f"Bearer {password}"
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return Credentials(host=f"{name}:{port}", authorization=authorization, secrets=(password,))
