"""`module:app`, `module:factory` or `module:factory()` as an application object, or one sentence why not."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import site
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from auth_conformance.settings import ConfigurationError

if TYPE_CHECKING:
    from auth_conformance.transports.asgi import App

_ASGI_ARGUMENTS = 3
_WSGI_ARGUMENTS = 2
_LONGEST = 300
# An address without its scheme, as browsers take it.
_HOST = re.compile(r"[\w.-]+:\d{1,5}(?:/.*)?")
_COROUTINE = (
    "{}: the factory is a coroutine; give one that returns the application, as in "
    "def create_app(): return asyncio.run(create_app_async())."
)


def load_app(spec: str, app_dir: str = ".") -> App:
    """The ASGI application that `spec` names, modules looked up in `app_dir` first.

    Raises ConfigurationError with one sentence, which quotes the user's own exception and its place.
    """
    module_name, colon, attribute = spec.partition(":")
    called = attribute.endswith("()")
    path = attribute.removesuffix("()")
    if not module_name or not colon or not path:
        raise ConfigurationError(f"{spec!r} names no application: write module:app, as in shop.main:app.")
    found = _attribute(spec, _imported(spec, module_name, app_dir), path)
    if not called and _is_coroutine_function(found):
        raise ConfigurationError(_COROUTINE.format(spec))
    if called or _is_factory(found):
        found = _made(spec, found)
    _refuse_others(spec, found)
    app: App = found
    return app


def load_callable(spec: str, app_dir: str = ".") -> Any:
    """The callable that `module:callable` names. Raises ConfigurationError with one sentence."""
    module_name, colon, path = spec.partition(":")
    if not module_name or not colon or not path:
        raise ConfigurationError(f"{spec!r} names no callable: write module:callable.")
    found = _attribute(spec, _imported(spec, module_name, app_dir), path)
    if not callable(found):
        raise ConfigurationError(f"{spec} is a {type(found).__name__}, which cannot be called.")
    return found


def _attribute(spec: str, found: Any, path: str) -> Any:
    for name in path.split("."):
        if not hasattr(found, name):
            raise ConfigurationError(
                f"{spec}: {_place(found)} has no attribute {name!r}{_similar(found, name)}"
            )
        found = getattr(found, name)
    return found


def _imported(spec: str, name: str, app_dir: str) -> ModuleType:
    folder = str(Path(app_dir).resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            if _HOST.fullmatch(spec):
                raise ConfigurationError(
                    f"{spec} is no application. If it is an address, write http://{spec}."
                ) from None
            raise ConfigurationError(
                f"{spec}: there is no module {error.name!r} in {folder} or on the Python path."
            ) from None
        raise ConfigurationError(f"{spec}: importing {name} failed: {said(error)}.") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the user's module raises, SystemExit included
        raise ConfigurationError(f"{spec}: importing {name} failed: {said(error)}.") from None


def _made(spec: str, factory: Any) -> Any:
    try:
        made = factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the user's factory raises
        raise ConfigurationError(f"{spec}: calling the factory failed: {said(error)}.") from None
    if inspect.iscoroutine(made):
        made.close()
        raise ConfigurationError(_COROUTINE.format(spec))
    return made


def _is_coroutine_function(found: Any) -> bool:
    return inspect.iscoroutinefunction(found) and _required(found) == 0


def _is_factory(found: Any) -> bool:
    """Whether calling it without arguments makes the application, and it is none itself."""
    if inspect.isclass(found):
        return _required(found) == 0
    return inspect.isroutine(found) and not inspect.iscoroutinefunction(found) and _required(found) == 0


def _required(found: Any) -> int | None:
    """How many arguments a call needs at least; None when Python cannot tell."""
    try:
        return len(_needed(found))
    except (TypeError, ValueError):
        return None


def _needed(found: Any) -> list[tuple[str, inspect.Parameter]]:
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    return [
        (name, item)
        for name, item in inspect.signature(found).parameters.items()
        if item.kind in kinds and item.default is inspect.Parameter.empty
    ]


def _refuse_others(spec: str, found: Any) -> None:
    if not callable(found):
        raise ConfigurationError(f"{spec} is a {type(found).__name__}, which is no ASGI application.")
    count = _required(found)
    if count == _WSGI_ARGUMENTS:
        raise ConfigurationError(
            f"{spec} looks like a WSGI application (Flask, Django), which cannot run in this process: "
            "serve it and give its URL."
        )
    if count is not None and count not in (0, _ASGI_ARGUMENTS):
        needed = ", ".join(name for name, _ in _needed(found))
        raise ConfigurationError(
            f"{spec} takes {count} arguments ({needed}): neither an ASGI application nor a factory without any. "
            "Write a function that calls it with what it needs, and give that one."
        )


def said(error: BaseException) -> str:
    """Name, one-line message and place of an exception, without the values that it was about."""
    message = " ".join(_message(error).split())
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + "…"
    name = type(error).__name__
    return f"{name}{': ' + message if message else ''}{_where(error)}".rstrip(".")


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg or ""
    listed = getattr(error, "errors", None)
    if callable(listed) and type(error).__module__.startswith("pydantic"):
        # A settings error prints the environment's values: say which variable, never what it held.
        entries: Any = listed(include_url=False, include_input=False, include_context=False)
        return "; ".join(f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" for entry in entries)
    return str(error)


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({_relative(error.filename)}:{error.lineno})"
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append((traceback.tb_frame.f_code.co_filename, traceback.tb_lineno))
        traceback = traceback.tb_next
    theirs = [frame for frame in frames if _is_users(frame[0])]
    return f" ({_relative(theirs[-1][0])}:{theirs[-1][1]})" if theirs else ""


def _is_users(file: str) -> bool:
    installed = (*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib"))
    own = str(Path(__file__).parents[1])
    return not file.startswith((*installed, own, "<"))


def _relative(file: str) -> str:
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file


def _place(found: Any) -> str:
    return f"module {found.__name__}" if isinstance(found, ModuleType) else type(found).__name__


def _similar(found: Any, name: str) -> str:
    close = difflib.get_close_matches(name, [other for other in vars(found) if not other.startswith("_")], 1)
    return f"; did you mean {close[0]!r}?" if close else "."
