"""Dataclasses that are kept as JSON files, and those that name a published folder."""

from typing import Any, ClassVar, Self

from pydantic import TypeAdapter, ValidationError

from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import Store


class JsonArtifact:
    """A dataclass that is kept as one JSON file."""

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        plain: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, value: Any, *, where: str = "") -> Self:
        """Returns the object that `as_dict` described.

        Raises:
            ArtifactError: where the value has not this artifact's fields.
        """
        try:
            return TypeAdapter(cls).validate_python(value)
        except ValidationError as error:
            raise ArtifactError(f"{where or cls.__name__}: not a {cls.__name__}: {error}") from error

    @classmethod
    def from_json(cls, content: bytes, *, where: str) -> Self:
        """Returns the object that a file's content describes.

        Raises:
            ArtifactError: where it describes something else.
        """
        try:
            return TypeAdapter(cls).validate_json(content)
        except ValidationError as error:
            raise ArtifactError(f"{where}: not a {cls.__name__}: {error}") from error

    @classmethod
    def read(cls, store: Store, folder: str, name: str) -> Self:
        """Returns the object that a file of a published folder describes.

        Raises:
            ArtifactError: where there is no such file, or it describes something else.
        """
        return cls.from_json(store.open_file(folder, name).read_bytes(), where=f"{folder}/{name}")


class Published(JsonArtifact):
    """An artifact that is a published folder, named by its fingerprint."""

    PARENT: ClassVar[str]
    fingerprint: str

    @property
    def folder(self) -> str:
        """The published folder."""
        return f"{self.PARENT}/{self.fingerprint}"
