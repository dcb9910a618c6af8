"""SRC118: each path through an authentication dependency returns a verified caller or raises."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from auth_conformance.model import Severity
from auth_conformance.source.tree import Function, Module, Spot, Tree
from auth_conformance.source.wiring import Scheme, Wiring
from auth_conformance.source.words import is_constant, keyword, listed, name_of, words

_NAMED = re.compile(
    r"(?:get_)?(?:current|active|authenticated|logged_in)_\w*user\w*|authenticate\w*|authori[sz]e\w*|require_\w+|"
    r"(?:verify|check|validate|decode|parse)_\w*(?:token|jwt|password|credential|api_?key|session|signature|permission|scope|role|access|auth)\w*|"
    r"is_(?:authenticated|authori[sz]ed)|has_(?:permission|scope|role|access)\w*"
)
_GIVES_BACK = listed(
    "release refund rollback success failure failed log reset clear clean cleanup close load"
)
_LIMITER = re.compile(r"\w*(?:rate_?limit|throttl|limiter)\w*", re.IGNORECASE)
_BROAD = frozenset(("Exception", "BaseException", ""))
_BYPASS = listed("debug testing development dev bypass")
_CALLER = listed("user users payload claims token data session account principal admin identity true")
_REFUSAL = re.compile(
    r"40[13]|Response|error|refus|unauthor|forbidden|denied|invalid|fail|anonym|guest|redirect", re.IGNORECASE
)
# What a block asks that may refuse a caller whose token was in order.
_OBJECTION = re.compile(
    r"verif|check|revok|black|block|deny|denied|valid|expir|active|disabled|banned|signature|permission|scope|role|passw"
)
_EXPIRY = listed("exp expire expires expiry expiration expired expires_at")
_OPEN_BY_NAME = listed("allow all")
# Classes whose methods are there to be overridden.
_TO_BE_OVERRIDDEN = listed("mixin base abstract protocol interface")
# Questions whose "no" lets somebody in.
_QUESTIONS = listed("is was has check token session jti")
_SHUT = listed("revoked ended blacklisted blocklisted denylisted denied banned blocked invalidated")
_NOW = ("datetime.datetime.utcnow", "datetime.datetime.now", "datetime.utcnow", "datetime.now")


def failing_open(tree: Tree) -> Iterator[Spot]:
    """SRC118, whole tree."""
    wiring = Wiring(tree)
    for module, function in auth_functions(wiring):
        judge = _Judge(wiring, module, function)
        yield from judge.spots()
    yield from _dropped_schemes(wiring)
    for module in tree.modules:
        yield from _forgiving(module)
        yield from _naive_times(module)
        yield from _open_limiters(module)


def auth_functions(wiring: Wiring) -> list[tuple[Module, Function]]:
    """The dependencies that look at credentials, and the functions that are named for verifying them."""
    found: dict[Function, Module] = {}
    for code, _, _, _ in wiring.used:
        if wiring.guards(code):
            found[code.function] = code.module
    for module in wiring.tree.modules:
        for function in module.functions:
            if _NAMED.fullmatch(function.name) or any(
                isinstance(item.target, Scheme) for item in wiring.of(module, function)
            ):
                found.setdefault(function, module)
    return [(module, function) for function, module in found.items()]


def _forgiving(module: Module) -> Iterator[Spot]:
    """A look for what was revoked that says "no" when it cannot look."""
    for function in module.functions:
        if not _SHUT & set(words(function.name)) or words(function.name)[0] not in _QUESTIONS:
            continue
        for node in ast.walk(function):
            if not isinstance(node, ast.Try) or module.function_of(node) is not function:
                continue
            for handler in node.handlers:
                said = [part.value for part in handler.body if isinstance(part, ast.Return)]
                broad = handler.type is None or _BROAD & {
                    name_of(item)
                    for item in (handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type])
                }
                if broad and said and (said[0] is None or is_constant(said[0], value=False)):
                    message = f"{function.name} says no when it cannot look: whatever was revoked gets in."
                    yield module.spot("SRC118", handler, message, Severity.HIGH)


class _Judge:
    """One authentication function."""

    def __init__(self, wiring: Wiring, module: Module, function: Function) -> None:
        self.wiring, self.module, self.function = wiring, module, function
        self.own = [
            part for part in ast.walk(function) if module.function_of(part) is function or part is function
        ]

    def spots(self) -> Iterator[Spot]:
        for part in self.own:
            if isinstance(part, ast.Try):
                yield from self._try(part)
            elif isinstance(part, ast.If):
                yield from self._bypass(part)
            elif isinstance(part, ast.Raise):
                yield from self._told(part)
        yield from self._at_once()
        yield from self._unasked()

    def _say(self, node: ast.AST, message: str, severity: Severity = Severity.HIGH) -> Spot:
        return self.module.spot("SRC118", node, message, severity)

    def _try(self, node: ast.Try) -> Iterator[Spot]:
        for part in node.finalbody:
            if any(isinstance(inner, ast.Return) for inner in ast.walk(part)):
                yield self._say(
                    part, f"{self.function.name} returns in `finally`, which swallows every refusal."
                )
        if not self._decides(node):
            return
        for handler in node.handlers:
            effect = self._effect(handler, node)
            caught = self._caught(handler)
            if effect == "open":
                yield self._say(handler, f"{self.function.name} lets a caller in when {caught} is raised.")
            elif effect == "none" and _BROAD & set(self._types(handler)) and (who := self._not_tested()):
                yield self._say(
                    handler, f"{self.function.name} returns nothing when {caught} is raised, and {who}."
                )
            elif effect == "none" and not _BROAD & set(self._types(handler)) and (who := self._not_tested()):
                yield self._say(
                    handler,
                    f"{self.function.name} returns nothing for a bad credential ({caught}), and {who}.",
                )

    def _decides(self, node: ast.Try) -> bool:
        """Whether the guarded block verifies something: parsing an unrelated value may fail without harm."""
        text = " ".join(ast.unparse(part) for part in node.body).lower()
        return bool(
            re.search(
                r"decode|verif|auth|token|session|password|passw|api_?key|user|claim|signature|scope|role|permission|credential|check",
                text,
            )
        )

    def _types(self, handler: ast.ExceptHandler) -> list[str]:
        if handler.type is None:
            return [""]
        listed = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        return [name_of(item) for item in listed]

    def _caught(self, handler: ast.ExceptHandler) -> str:
        return "anything" if handler.type is None else ast.unparse(handler.type)

    def _effect(self, handler: ast.ExceptHandler, node: ast.Try) -> str:
        """`closed`, `none` or `open`: what the caller gets after this handler."""
        last = handler.body[-1]
        if any(isinstance(part, ast.Raise) for part in handler.body):
            return "closed"
        if any(isinstance(part, ast.If) and self._chosen(part) for part in handler.body):
            return "closed"
        returned = next((part for part in handler.body if isinstance(part, ast.Return)), None)
        if returned is not None:
            return "closed" if self._known_before(returned.value, node) else self._worth(returned.value)
        if isinstance(last, (ast.If, ast.With, ast.AsyncWith, ast.Try)) or any(
            isinstance(part, ast.Raise) for part in ast.walk(handler)
        ):
            return "closed"
        noted = [part for part in handler.body if isinstance(part, (ast.Assign, ast.AugAssign))]
        if any(self._is_given_back(part) for part in noted):
            return "open"
        if any(self._is_read(part, handler) for part in noted):
            return "closed"  # it notes the failure: what is made of it stands below, and is not followed
        if any(self._hands_on(part, handler.name) for part in handler.body):
            return "closed"  # as forms do: what is made of their errors is not followed
        return self._after(node)

    def _is_read(self, part: ast.Assign | ast.AugAssign, handler: ast.ExceptHandler) -> bool:
        """Whether what a handler notes is looked at anywhere, other than by what it says of the failure itself."""
        within = {id(inner) for inner in ast.walk(handler)}
        for target in part.targets if isinstance(part, ast.Assign) else [part.target]:
            if isinstance(target, ast.Name):
                read = any(
                    isinstance(inner, ast.Name) and inner.id == target.id and isinstance(inner.ctx, ast.Load)
                    for inner in ast.walk(self.function)
                    if id(inner) not in within
                )
            elif isinstance(target, ast.Attribute):
                read = target.attr in self.wiring.tree.members_read
            else:
                read = True
            if read:
                return True
        return False

    def _is_given_back(self, part: ast.Assign | ast.AugAssign) -> bool:
        """Whether a caller that nobody asked for is put in the place of the one that was refused, and returned.

        What a call gives may be another way to be known: that is not followed.
        """
        if not isinstance(part, ast.Assign) or not isinstance(
            part.value, (ast.Name, ast.Attribute, ast.Constant)
        ):
            return False
        names = {target.id for target in part.targets if isinstance(target, ast.Name)}
        read = [
            inner
            for inner in ast.walk(self.function)
            if isinstance(inner, ast.Name) and inner.id in names and isinstance(inner.ctx, ast.Load)
        ]
        returned = bool(read) and all(
            isinstance(self.module.parents.get(inner), ast.Return) for inner in read
        )
        return returned and self._worth(part.value) == "open"

    def _chosen(self, part: ast.If) -> bool:
        """Whether it raises unless the caller has said that nobody need be there: `if not optional: raise`."""
        named = {item.id for item in ast.walk(part.test) if isinstance(item, ast.Name)}
        taken = {item.arg for item in [*self.function.args.args, *self.function.args.kwonlyargs]}
        return bool(named & taken) and any(isinstance(item, ast.Raise) for item in part.body)

    @staticmethod
    def _hands_on(part: ast.stmt, caught: str | None) -> bool:
        """Whether the error itself is given to a method of the object, such as `self.add_error("name", error)`."""
        return (
            isinstance(part, ast.Expr)
            and isinstance(part.value, ast.Call)
            and isinstance(part.value.func, ast.Attribute)
            and name_of(part.value.func.value) == "self"
            and caught is not None
            and caught in {item.id for item in part.value.args if isinstance(item, ast.Name)}
        )

    def _known_before(self, value: ast.expr | None, node: ast.Try) -> bool:
        """Whether it returns the caller that an earlier block made sure of, and this one looks for no objection."""
        asked = " ".join(ast.unparse(part) for part in node.body).lower()
        if not isinstance(value, ast.Name) or _OBJECTION.search(asked):
            return False
        earlier = [
            part
            for part in self.own
            if isinstance(part, ast.Try) and (part.end_lineno or part.lineno) < node.lineno
        ]
        again = any(name_of(target) == value.id for target in _targets(node))
        return not again and any(
            any(name_of(target) == value.id for target in _targets(part))
            and all(isinstance(handler.body[-1], ast.Raise) for handler in part.handlers)
            for part in earlier
        )

    def _known_at_once(self, value: ast.expr | None, node: ast.Try) -> bool:
        """Whether it is what a call gave before this block, which looks for no objection."""
        asked = " ".join(ast.unparse(part) for part in node.body).lower()
        if not isinstance(value, ast.Name) or _OBJECTION.search(asked) or "decode" in asked:
            return False
        inside = {id(part) for block in self.own if isinstance(block, ast.Try) for part in ast.walk(block)}
        made = [
            part
            for part in self.own
            if isinstance(part, ast.Assign) and any(name_of(target) == value.id for target in part.targets)
        ]
        return bool(made) and all(
            id(part) not in inside
            and part.lineno < node.lineno
            and isinstance(part.value, (ast.Call, ast.Await))
            for part in made
        )

    def _worth(self, value: ast.expr | None) -> str:
        if value is None or is_constant(value, None) or is_constant(value, value=False):
            return "none"
        if is_constant(value, value=True):
            return "open"
        if isinstance(value, (ast.Tuple, ast.Dict, ast.List, ast.Constant)) or _REFUSAL.search(
            ast.unparse(value)
        ):
            return "none" if isinstance(value, ast.Constant) and not value.value else "closed"
        return (
            "open"
            if _CALLER & set(words(name_of(value) or name_of(getattr(value, "func", None))))
            else "closed"
        )

    def _after(self, node: ast.Try) -> str:
        """What happens once the `try` is over."""
        end = node.end_lineno or node.lineno
        later = [part for part in self.own if getattr(part, "lineno", 0) > end]
        if any(isinstance(part, (ast.Raise, ast.If, ast.IfExp)) for part in later):
            return "closed"
        returns = [part for part in later if isinstance(part, ast.Return)]
        if returns and all(self._known_at_once(part.value, node) for part in returns):
            return "closed"
        if any(self._worth(part.value) != "none" for part in returns):
            return "open"
        return "none"

    def _not_tested(self) -> str:
        """Who takes the missing result for a caller; "" where everybody looks."""
        return self._unaware(self.function, 3)

    def _unaware(self, function: Function, depth: int) -> str:
        users = [
            (module, user, name) for code, module, user, name in self.wiring.used if code.function is function
        ]
        for _, user, name in users:
            if user is None:
                return "it stands in `dependencies`, where the result is dropped"
            if not _asks(user, name) and not _touches(user, name):
                return f"{user.name} never looks whether there is a caller"
        for module in self.wiring.tree.modules:
            for call, _ in module.calls:
                if name_of(call.func) != function.name or module.function_of(call) is None:
                    continue
                if _is_of_another_class(self.wiring.tree, module, call, function):
                    continue
                if isinstance(_bare(module, call), ast.Expr):
                    user = module.function_of(call)
                    return f"{user.name if user else 'its caller'} drops the result"
                outer = module.function_of(call)
                if (
                    isinstance(_bare(module, call), ast.Return)
                    and outer is not None
                    and depth
                    and (who := self._unaware(outer, depth - 1))
                ):
                    return who
        return ""

    def _bypass(self, node: ast.If) -> Iterator[Spot]:
        named = [
            name
            for part in ast.walk(node.test)
            if (name := name_of(part))
            and (
                _BYPASS & set(words(name))
                or {"auth", "disabled"} <= set(words(name))
                or {"skip", "auth"} <= set(words(name))
            )
        ]
        if not named or isinstance(node.test, ast.UnaryOp):
            return
        returned = next((part for part in node.body if isinstance(part, ast.Return)), None)
        if returned is None or any(isinstance(part, ast.Raise) for part in node.body):
            return
        severity = Severity.CRITICAL if self._on_by_default(named[-1]) else Severity.MEDIUM
        state = ", which is on by default" if severity is Severity.CRITICAL else ""
        yield self._say(
            node, f"{self.function.name} lets everybody in when `{ast.unparse(node.test)}`{state}.", severity
        )

    def _on_by_default(self, name: str) -> bool:
        return any(
            is_constant(part.value, value=True)
            and name_of(part.targets[0] if isinstance(part, ast.Assign) else part.target) == name
            for module in self.wiring.tree.modules
            for part in module.nodes
            if isinstance(part, (ast.Assign, ast.AnnAssign))
        )

    def _told(self, node: ast.Raise) -> Iterator[Spot]:
        handler = next(
            (outer for outer in self.module.above(node) if isinstance(outer, ast.ExceptHandler)), None
        )
        if handler is None or not handler.name or not isinstance(node.exc, ast.Call):
            return
        # What other exceptions are given second is their own affair: often the backend comes first, then the cause.
        told = node.exc.args[1:2] if name_of(node.exc.func).endswith("HTTPException") else []
        detail = keyword(node.exc, "detail") or next(iter(told), None)
        if detail is not None and any(
            isinstance(part, ast.Name) and part.id == handler.name for part in ast.walk(detail)
        ):
            yield self._say(node, "The text of an exception goes to the caller.", Severity.LOW)

    def _at_once(self) -> Iterator[Spot]:
        body = [
            part
            for part in self.function.body
            if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        ]
        if any(name_of(item) in {"property", "cached_property"} for item in self.function.decorator_list):
            return  # a member of a caller that is known already
        outer = self.module.parents.get(self.function)
        given = [item.arg for item in [*self.function.args.args, *self.function.args.kwonlyargs]]
        if given and all(name.startswith("_") for name in given):
            return  # it says by their names that it needs nothing of what it is given
        if isinstance(outer, ast.ClassDef) and len(body) == 1 and _TO_BE_OVERRIDDEN & set(words(outer.name)):
            return  # a further look that subclasses may take, after the one that counts
        if isinstance(outer, ast.ClassDef) and set(words(outer.name)) >= _OPEN_BY_NAME:
            return  # a policy that says so: whoever names it has chosen it
        if (
            body
            and isinstance(body[0], ast.Return)
            and is_constant(body[0].value, value=True)
            and words(self.function.name)[0]
            in {"verify", "check", "validate", "is", "has", "authenticate", "authorize", "authorise"}
        ):
            yield self._say(body[0], f"{self.function.name} says yes before it looks.")

    def _unasked(self) -> Iterator[Spot]:
        """`auto_error=False`: None arrives where the credential is missing."""
        if any(isinstance(part, (ast.If, ast.Raise, ast.IfExp, ast.BoolOp, ast.Match)) for part in self.own):
            return  # it decides by something: that it does so by this value is not followed
        for item in self.wiring.of(self.module, self.function):
            if (
                isinstance(item.target, Scheme)
                and not item.target.auto_error
                and not _asks(self.function, item.parameter)
                and not _touches(self.function, item.parameter)
            ):
                what = f"`{item.parameter}` is None without a credential (auto_error=False)"
                yield self._say(item.node, f"{what}, and {self.function.name} never looks.")


def _targets(node: ast.Try) -> list[ast.expr]:
    return [
        target
        for stmt in node.body
        for part in ast.walk(stmt)
        if isinstance(part, ast.Assign)
        for target in part.targets
    ]


def _bare(module: Module, node: ast.AST) -> ast.AST:
    outer = module.parents.get(node, node)
    return module.parents.get(outer, outer) if isinstance(outer, ast.Await) else outer


def _is_of_another_class(tree: Tree, module: Module, call: ast.Call, function: Function) -> bool:
    """Whether a method of that name is called on an object that is made of another class in sight."""
    outer = module.function_of(call)
    if outer is None or not isinstance(call.func, ast.Attribute) or not isinstance(call.func.value, ast.Name):
        return False
    holder = call.func.value.id
    if holder == "self":
        owner = next((item for item in module.above(outer) if isinstance(item, ast.ClassDef)), None)
        own = [] if owner is None else [item for item in owner.body if isinstance(item, Function)]
        return any(item.name == function.name and item is not function for item in own)
    if _is_foreign(tree, module.imports.get(holder)):
        return True
    made = [
        tree.find(module, module.dotted(part.value.func))
        for part in ast.walk(outer)
        if isinstance(part, ast.Assign)
        and isinstance(part.value, ast.Call)
        and any(name_of(target) == holder for target in part.targets)
    ]
    return bool(made) and all(
        item is not None
        and isinstance(item[1], ast.ClassDef)
        and not _inherits(tree, item[0], item[1], function)
        for item in made
    )


def _is_foreign(tree: Tree, imported: str | None) -> bool:
    """Whether what was imported under a name comes from another package than the one that is read."""
    return imported is not None and not {imported, imported.rpartition(".")[0]} & tree.by_name.keys()


def _inherits(tree: Tree, module: Module, node: ast.ClassDef, function: Function, depth: int = 4) -> bool:
    """Whether a class, or one that it is made from, holds that very method."""
    if function in node.body:
        return True
    for base in node.bases if depth else ():
        found = tree.find(module, module.dotted(base))
        if found is None or not isinstance(found[1], ast.ClassDef):
            continue
        if _inherits(tree, found[0], found[1], function, depth - 1):
            return True
    return False


def _asks(function: Function, name: str) -> bool:
    """Whether a function tests if a value is there."""
    for part in ast.walk(function):
        tests: Sequence[ast.AST] = ()
        if isinstance(part, (ast.If, ast.While, ast.IfExp, ast.Assert)):
            tests = [part.test]
        elif isinstance(part, ast.comprehension):
            tests = part.ifs
        elif isinstance(part, ast.BoolOp):
            tests = part.values
        elif isinstance(part, ast.Compare):
            tests = [part]
        elif isinstance(part, ast.Match):
            tests = [part.subject]
        if any(
            isinstance(inner, ast.Name) and inner.id == name for test in tests for inner in ast.walk(test)
        ):
            return True
    return False


def _touches(function: Function, name: str) -> bool:
    """Whether a function uses a value: hands it on, or reads a member, which None does not have."""
    return any(
        isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load)
        for stmt in function.body
        for part in ast.walk(stmt)
    )


def _dropped_schemes(wiring: Wiring) -> Iterator[Spot]:
    for module, call, target in wiring.dropped:
        if isinstance(target, Scheme) and not target.auto_error:
            message = (
                "A scheme with auto_error=False stands in `dependencies`: whoever brings nothing gets in."
            )
            yield module.spot("SRC118", call, message, Severity.HIGH)


def _naive_times(module: Module) -> Iterator[Spot]:
    for call, name in module.calls:
        if name not in _NOW or call.args or keyword(call, "tz") is not None:
            continue
        statement = next((outer for outer in module.above(call) if isinstance(outer, ast.stmt)), None)
        if statement is None:
            continue
        text = {
            word
            for part in ast.walk(statement)
            for word in [
                *words(name_of(part)),
                *(
                    words(part.value)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                    else ()
                ),
            ]
        }
        if text & _EXPIRY and not isinstance(
            statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        ):
            yield module.spot(
                "SRC118",
                call,
                f"An expiry is reckoned with {name.rpartition('datetime.')[2]}(), which has no time zone.",
                Severity.LOW,
            )


def _open_limiters(module: Module) -> Iterator[Spot]:
    for node in module.nodes:
        if not isinstance(node, ast.Try):
            continue
        function = module.function_of(node)
        names = " ".join(
            name
            for part in node.body
            for inner in ast.walk(part)
            if isinstance(inner, ast.Call) and (name := module.dotted(inner.func))
        )
        if function is None or not (
            _LIMITER.fullmatch(function.name)
            or re.search(r"limiter|rate_?limit|throttl", names, re.IGNORECASE)
        ):
            continue
        if _GIVES_BACK & set(words(function.name)):
            continue  # whoever was let in was counted before
        for handler in node.handlers:
            kinds = (
                {""}
                if handler.type is None
                else {name_of(item) for item in getattr(handler.type, "elts", [handler.type])}
            )
            silent = all(isinstance(part, (ast.Pass, ast.Expr)) for part in handler.body) or (
                len(handler.body) == 1 and isinstance(handler.body[0], ast.Return)
            )
            if kinds & _BROAD and silent:
                yield module.spot(
                    "SRC118", handler, "The rate limit is off whenever its storage fails.", Severity.HIGH
                )
