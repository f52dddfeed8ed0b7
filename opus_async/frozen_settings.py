"""Settings as values: given by name, checked when made, frozen, compared and shown by what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import Parameter, Signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, dataclass_transform

from opus_async.arguments import COUNT, Kind, unfit
from opus_async.errors import ConfigurationError
from opus_async.spelling import no_such

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


class _Setting(NamedTuple):
    kind: Kind
    default: Any


def setting(kind: Kind, *, default: Any) -> Any:
    """One setting, as a class attribute.

    Args:
        kind: What it may be; None is allowed where it is the default.
        default: Its value where none is given.
    """
    return _Setting(kind, default)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(setting,))
class FrozenSettings:
    """The base of a class of settings, each a class attribute that :func:`setting` makes.

    Making one raises ConfigurationError, which names every setting that is wrong, and so does changing it.
    """

    _settings: ClassVar[Mapping[str, _Setting]] = {}

    def __init_subclass__(cls) -> None:
        found = {name: value for name, value in vars(cls).items() if isinstance(value, _Setting)}
        for name, each in found.items():
            setattr(cls, name, each.default)
        cls._settings = {**cls._settings, **found}
        cls.__signature__ = Signature(  # type: ignore[attr-defined]  # what inspect and help() ask for
            [Parameter(name, Parameter.KEYWORD_ONLY, default=s.default) for name, s in cls._settings.items()]
        )

    if not TYPE_CHECKING:  # a type checker goes by the attributes

        def __init__(self, *unnamed: Any, **given: Any) -> None:
            if problems := list(_problems(type(self), unnamed, given)):
                raise ConfigurationError(". ".join(problems))
            values = {name: each.default for name, each in self._settings.items()}
            vars(self).update(
                values | {name: _plain(value, self._settings[name].kind) for name, value in given.items()}
            )

        def __setattr__(self, name: str, _: Any) -> None:
            what = type(self).__name__
            raise ConfigurationError(f"{what} is frozen: make a new one, like {what}({name}=...)")

        def __delattr__(self, name: str) -> None:
            self.__setattr__(name, None)

        def __eq__(self, other: object) -> bool:
            return type(other) is type(self) and vars(other) == vars(self)

        def __hash__(self) -> int:
            return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> CoreSchema:
        """Let a pydantic model have such settings as a field: the value, or a mapping of its settings."""
        from pydantic_core import core_schema  # noqa: PLC0415 - for those who have loaded pydantic already

        return core_schema.no_info_plain_validator_function(
            cls._of, serialization=core_schema.plain_serializer_function_ser_schema(cls.model_dump)
        )

    @classmethod
    def _of(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"{cls.__name__} is one of these, or a mapping of its settings")
        return cls(**value)

    @classmethod
    def names(cls) -> Sequence[str]:
        """The names of the settings."""
        return tuple(cls._settings)

    def model_dump(self) -> dict[str, Any]:
        """The settings by name."""
        return dict(vars(self))

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """A copy.

        Args:
            update: The settings that are others in it.

        Raises:
            ConfigurationError: One of them is wrong.
        """
        return type(self)(**vars(self) | dict(update or {}))


def _problems(
    settings: type[FrozenSettings], unnamed: Sequence[Any], given: Mapping[str, Any]
) -> Iterator[str]:
    """Every setting that is wrong, each with what it may be or with the name that was meant."""
    what, known = settings.__name__, settings._settings  # noqa: SLF001 - of this module
    if unnamed:
        yield f"{what} takes its settings by name, like {what}({next(iter(known))}=...)"
    for name, value in given.items():
        if name not in known:
            yield no_such(what, name, known)
        elif not (value is None and known[name].default is None):
            kind = known[name].kind
            if not kind.fits(value):
                yield unfit(name, value, kind, what)


def _plain(value: Any, kind: Kind) -> Any:
    """A number, of whatever library, as Python's own: whole where only whole ones fit, else a float."""
    if not isinstance(value, Real):
        return value
    return int(value) if kind is COUNT and isinstance(value, Integral) else float(value)
