"""Values that are kept as JSON files, and those that name a published folder."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imagenet_tasks.artifacts.kinds import Kind
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.json_text import parse_json
from imagenet_tasks.store.storage import Store

MOST_ERRORS = 3  # of one file are told
VERSION_FIELD = "schema_version"  # of a file; 0 where it has none, as before there were versions
Mark = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{0,64}$")]  # a fingerprint: one name, which leads nowhere else


class JsonArtifact(BaseModel):
    """Checked values that are kept as one JSON file, or in one.

    A file says which version of its class wrote it. A field that is added with a default needs no new version; any
    other change raises SCHEMA_VERSION, and `upgraded` makes today's fields of the ones before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    SCHEMA_VERSION: ClassVar[int] = 1
    FILE: ClassVar[str] = ""  # its name in a published folder

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON values, as they are handed from task to task."""
        return self.model_dump(mode="json")

    def as_file(self) -> dict[str, Any]:
        """Returns what a file of it holds, as plain JSON values."""
        return {VERSION_FIELD: self.SCHEMA_VERSION} | self.as_dict()

    def content(self) -> bytes:
        """Returns what a file of it holds."""
        return json.dumps(self.as_file(), indent=1, allow_nan=False).encode()

    def write_to(self, folder: Path) -> None:
        """Writes its file into a folder that is to be published."""
        (folder / self.FILE).write_bytes(self.content())

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Returns today's fields from those of a file that an earlier version wrote."""
        return fields

    @classmethod
    def from_dict(cls, value: Any, *, where: str = "") -> Self:
        """Returns the object that `as_dict` described.

        Raises:
            ArtifactError: where the value has not this artifact's fields.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'all of it'}: {e['msg']}"[:200] for e in error.errors()[:MOST_ERRORS]
            )
            raise ArtifactError(f"{where or cls.__name__}: not a {cls.__name__}: {wrong}") from error

    @classmethod
    def from_json(cls, content: bytes, *, where: str) -> Self:
        """Returns the object that a file's content describes, also one that an earlier version wrote.

        Raises:
            ArtifactError: where it describes something else, or a later version wrote it.
        """
        return cls.from_file(parse_json(content, where=f"{where}: not a {cls.__name__}"), where=where)

    @classmethod
    def from_file(cls, value: Any, *, where: str) -> Self:
        """Returns the object that a file's parsed JSON describes; raises as `from_json` does."""
        if isinstance(value, dict):
            version = value.get(VERSION_FIELD, 0)
            if not isinstance(version, int) or version > cls.SCHEMA_VERSION:
                raise ArtifactError(
                    f"{where}: expected a {cls.__name__} of version {cls.SCHEMA_VERSION} or before, found version "
                    f"{version!r}: a later version of this program wrote it. Read it with that one."
                )
            value = {name: field for name, field in value.items() if name != VERSION_FIELD}
            if version < cls.SCHEMA_VERSION:
                value = cls.upgraded(value, version)
        return cls.from_dict(value, where=where)

    @classmethod
    def read(cls, store: Store, folder: str) -> Self:
        """Returns the object that its file in a published folder describes.

        Raises:
            ArtifactError: where there is no such file, or it describes something else.
        """
        return cls.from_json(store.open_file(folder, cls.FILE).read_bytes(), where=f"{folder}/{cls.FILE}")


class Published(JsonArtifact):
    """An artifact that is a published folder, named by its fingerprint."""

    KIND: ClassVar[Kind]
    fingerprint: Mark

    @property
    def folder(self) -> str:
        """The published folder."""
        return self.KIND.folder_of(self.fingerprint)

    @classmethod
    def find(cls, store: Store, mark: str) -> Self:
        """Returns the artifact of this fingerprint; raises as `read` does."""
        return cls.read(store, cls.KIND.folder_of(mark))
