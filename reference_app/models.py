"""What goes over the wire: one schema per request and per response, and nothing else.

Requests refuse members that they do not know (ASVS V15.3.3) and bound every field (V2.2.1). Responses list
what may leave; no response has a field for a stored credential (V15.3.1).
"""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

ID_PATTERN = r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
MIN_PASSWORD_LENGTH = 8  # ASVS V6.2.1
MAX_PASSWORD_LENGTH = 128  # ASVS V6.2.9 asks for 64 at least
MAX_KEY_LIFETIME = timedelta(days=366)
SERVICE_NAME = "reference"

EMAIL_PATTERN = re.compile(
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)"
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+\Z"
)

# Stems of the passwords that lead every published list (ASVS V6.2.4). By the rules of `is_common_password`
# each stands for its usual decorations, too: "Password1!", "passwordpassword", "p4ssw0rd".
_STEMS = """
aaaa abcd abcdef abcdefg abcdefgh access account admin administrator albert alexander alexandra alexis
amanda america anderson andrea andrew angel angela angels anthony apple arsenal asdf asdfasdf asdfghjkl
ashley august austin babygirl babygirls bailey banana barcelona barney baseball basketball batman
beautiful benjamin bigdaddy bigdog birthday blackberry blink blue bond boomer boston brandon brandy
bubbles buster butterfly caitlin camaro cameron captain carlos carolina caroline charles charlie
charlotte cheese chelsea chester chicago chicken chocolate chris christian christina christine
christopher claudia clinton coffee colorado company compaq computer cookie corvette courtney cowboy
cowboys cricket crystal dakota dallas daniel danielle darkness david december default delete demo
destiny diamond dolphin dolphins donald dragon drowssap eagles edward einstein elephant elizabeth eminem
england enter everton falcon family fender ferrari fireball fishing flower flowers football forever
formula france francis frank freedom friday friend friends garfield gateway gemini george gfhjkm giants
ginger godzilla golden golf golfer goodluck google gordon green guest guitar gunner hallo hammer hannah
happy hardcore harley heather hello helloworld hockey hollywood hotdog house hunter iceman iloveu
iloveyou internet ironman jackson james jasmine jasper jennifer jeremy jessica jessie johnny johnson
jonathan jordan joseph joshua junior justin kevin killer kimberly kristina ladybug lakers lauren letmein
liverpool login london lonely louise love lovely loveme lover lovers loveyou lucky maddog madison maggie
manchester marina marine mario marlboro martin marvin master matrix matthew maverick maxwell melissa
member mercedes merlin metallica michael michelle michigan mickey midnight miguel mistress monday money
monica monkey monster morgan mother motorola mountain mustang myspace naruto natalie natasha newyork
nicholas nicole nintendo nirvana november october office oliver online orange packers pantera panther
parker pass passion passw passwd password passwort patricia patrick peaches peanut pepper phantom
phoenix player please pokemon police porsche precious prince princess private purple qazwsx qwe qwer
qwert qwerty rabbit rachel raiders rainbow ranger rangers rebecca redskins redsox reference referenceapp
richard robert rocket root rosebud samantha samsung sandra saturn scooby scooter scorpio scorpion
sebastian secret security september sergey shadow shannon silver slayer slipknot smokey snickers snoopy
soccer softball sophie spanky sparky spider spiderman squirt srinivas stanley starwars steelers stella
stephanie steven strawberry student success summer sunday sunflower sunshine superman superstar support
surfer swordfish sydney sysadmin system taylor teacher tech temp temporary tennis tequila teresa test
teste testing therock thomas thunder thursday tiffany tiger tigers tigger tinkerbell tomcat toor trouble
truelove trustno tuesday turtle twilight united user username valentina vanessa veronica victor victoria
video viking vincent voyager walter warrior wednesday welcome whatever white wildcats william williams
willie wilson windows winner winston winter wizard wolverine xavier yamaha yankee yankees yellow zaq
zxcv zxcvbn zxcvbnm
"""
COMMON_STEMS = frozenset(_STEMS.split())
LONGEST_REPETITION = 32  # beyond this nobody guesses how often
SHORTEST_UNIT = 4
LEET = str.maketrans("013457@$!", "oieastasi")
KEYBOARD_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "zxcvbnmasdfghjklqwertyuiop",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "!@#$%^&*()_+",
)


def is_common_password(password: str) -> bool:
    """Say whether a password is among the first that a guesser tries (ASVS V6.2.4, V6.2.12).

    Common are: one unit repeated, runs along the alphabet or a keyboard, and well-known words with up to six
    decorating characters. There are no composition rules: any password that chance made is fine (V6.2.5).
    """
    text = password.casefold()
    if len(text) <= LONGEST_REPETITION:
        for size in range(1, len(text) // 2 + 1):
            repeated = (text[:size] * len(text))[: len(text)] == text
            if repeated and (size <= SHORTEST_UNIT or is_common_password(text[:size])):
                return True
    if any(text in run or text in run[::-1] for run in KEYBOARD_RUNS):
        return True
    bare = re.sub(r"^[\W\d_]{0,4}|[\W\d_]{0,6}$", "", text)
    stems = {bare, bare.translate(LEET), text.translate(LEET)}
    return any(stem in COMMON_STEMS for stem in stems) or any(
        stem[:cut] in COMMON_STEMS and stem[cut:] in COMMON_STEMS
        for stem in stems
        for cut in range(4, len(stem) - 3)
    )


def normalise_email(value: str) -> str:
    """Return the one spelling that an address is stored, looked up and mailed under.

    Registration, login and recovery all use it, so no two spellings are two accounts for one step and one
    account for another (RFC 8265 §3, ASVS V2.2.1). Raises ValueError for anything but a plain address.
    """
    email = unicodedata.normalize("NFKC", value).casefold().strip()
    if not EMAIL_PATTERN.match(email):
        raise ValueError("this is not an e-mail address")
    return email


def normalise_password(value: SecretStr) -> SecretStr:
    """Return the password in NFC, unchanged otherwise: nothing is stripped, folded or cut (ASVS V6.2.8).

    Raises ValueError for a lone surrogate: JSON can spell one, but it is half a character and no hash takes it.
    """
    password = unicodedata.normalize("NFC", value.get_secret_value())
    if any(unicodedata.category(character) == "Cs" for character in password):
        raise ValueError("a password consists of whole characters")
    return SecretStr(password)


def validate_new_password(value: SecretStr) -> SecretStr:
    """Return a new password in NFC; raise ValueError for control characters and for common passwords."""
    password = normalise_password(value).get_secret_value()
    if any(unicodedata.category(character) == "Cc" and character != "\t" for character in password):
        raise ValueError("a password has no control characters")
    if is_common_password(password):
        raise ValueError("this password is among the first that others would try")
    return SecretStr(password)


def is_derived_from(password: str, email: str) -> bool:
    """Say whether a password contains the name of its owner or of this service (ASVS V6.2.11)."""
    words = (email.partition("@")[0], SERVICE_NAME)
    return any(len(word) >= SHORTEST_UNIT and word in password.casefold() for word in words)


def validate_line(value: str) -> str:
    """Return a one-line text without outer blanks; raise ValueError for characters that nobody sees."""
    text = unicodedata.normalize("NFC", value).strip()
    if not text or any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in text):
        raise ValueError("this text must be visible characters on one line")
    return text


def validate_text(value: str) -> str:
    """Return a text; raise ValueError for control characters other than line breaks and tabs."""
    if any(unicodedata.category(character) == "Cc" and character not in "\n\r\t" for character in value):
        raise ValueError("this text must not have control characters")
    return value


Email = Annotated[
    str,
    Field(
        min_length=3,
        max_length=254,
        description="E-mail address. Case, width and outer blanks do not matter.",
        examples=["ada@example.com"],
        json_schema_extra={"format": "email"},
    ),
]
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=MIN_PASSWORD_LENGTH,
        max_length=MAX_PASSWORD_LENGTH,
        description="Any characters are allowed. Common passwords and ones made of your name are refused.",
    ),
    AfterValidator(validate_new_password),
]
GivenPassword = Annotated[
    SecretStr,
    Field(max_length=1024, description="The password, exactly as it was chosen."),
    AfterValidator(normalise_password),
]
MailedToken = Annotated[
    SecretStr, Field(min_length=1, max_length=128, description="The token from the mail.")
]
DisplayName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        description="The name that others see.",
        examples=["Ada Lovelace"],
    ),
    AfterValidator(validate_line),
]
NoteTitle = Annotated[
    str,
    Field(min_length=1, max_length=200, description="One line.", examples=["Groceries"]),
    AfterValidator(validate_line),
]
NoteContent = Annotated[
    str,
    Field(max_length=20_000, description="Plain text.", examples=["Milk, bread"]),
    AfterValidator(validate_text),
]


class Role(StrEnum):
    """What an account is trusted with."""

    USER = "user"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a credential may be used for. The rights of its owner limit every credential."""

    NOTES_READ = "notes:read"
    NOTES_WRITE = "notes:write"
    PROFILE_WRITE = "profile:write"
    KEYS_MANAGE = "keys:manage"
    ADMIN = "admin"


class RequestModel(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ResponseModel(BaseModel):
    """Base of all responses; reads database rows, and drops what it has no field for."""

    model_config = ConfigDict(from_attributes=True)


class EmailRequest(RequestModel):
    """A request that names an account by its address."""

    email: Email

    @field_validator("email")
    @classmethod
    def canonical(cls, value: str) -> str:
        """Turn any accepted spelling into the stored one."""
        return normalise_email(value)


class UserCreate(EmailRequest):
    """A registration."""

    password: NewPassword
    display_name: DisplayName | None = None

    @model_validator(mode="after")
    def password_is_not_the_name(self) -> Self:
        """Refuse a password made of the address it protects."""
        if is_derived_from(self.password.get_secret_value(), self.email):
            raise ValueError("the password must not contain your name or the name of this service")
        return self


class UserUpdate(RequestModel):
    """What people may change about themselves."""

    display_name: DisplayName | None = Field(description="A new name, or null for none.")


class UserAdminUpdate(RequestModel):
    """What administrators may change about others."""

    is_active: bool | None = Field(default=None, description="False shuts out every credential of it.")
    role: Role | None = Field(default=None, description="Takes effect on credentials already issued.")


class UserResponse(ResponseModel):
    """An account, as its owner and administrators see it."""

    id: str = Field(description="Immutable identifier.", examples=["7f1d2a52-7a0c-4f5e-9b7e-0d4f6a1c2b3d"])
    email: str = Field(examples=["ada@example.com"])
    display_name: str | None = Field(examples=["Ada Lovelace"])
    role: Role
    is_active: bool
    is_verified: bool = Field(description="Whether the address has been confirmed.")
    created_at: datetime


class LoginRequest(RequestModel):
    """A login. The address is not validated here: an odd one is an unknown one."""

    email: str = Field(max_length=254, description="E-mail address.", examples=["ada@example.com"])
    password: GivenPassword


class PasswordGrantForm(RequestModel):
    """The form of RFC 6749 §4.3.2, as OAuth2 clients send it."""

    grant_type: str = Field(default="password", pattern="^password$", description="Always `password`.")
    username: str = Field(max_length=254, description="E-mail address.", examples=["ada@example.com"])
    password: GivenPassword
    scope: str = Field(
        default="",
        max_length=200,
        description="Scopes to ask for, separated by blanks; all that the account has if empty.",
        examples=["notes:read"],
    )
    client_id: str | None = Field(default=None, max_length=200, description="Ignored.")
    client_secret: SecretStr | None = Field(default=None, max_length=200, description="Ignored.")


class RefreshRequest(RequestModel):
    """An exchange of a refresh token."""

    refresh_token: SecretStr = Field(min_length=1, max_length=4096, description="The newest refresh token.")


class TokenResponse(ResponseModel):
    """What a bearer login hands out (RFC 6749 §5.1)."""

    access_token: str = Field(description="Short-lived token for the `Authorization` header.")
    refresh_token: str = Field(description="Works once, at `/auth/refresh`.")
    token_type: str = Field(default="bearer", examples=["bearer"])
    expires_in: int = Field(description="Seconds until the access token expires.", examples=[900])
    scope: str = Field(description="Granted scopes, separated by blanks.", examples=["notes:read"])


class SessionResponse(ResponseModel):
    """A login that is alive. The id names it; it is not a credential."""

    id: str
    kind: str = Field(description="`browser` or `bearer`.", examples=["browser"])
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_current: bool = Field(default=False, description="Whether this request belongs to it.")


class BrowserSessionResponse(ResponseModel):
    """What a page needs to know about its session; the session id itself travels only in the cookie."""

    csrf_token: str = Field(description="Send it as `X-CSRF-Token` with each request that changes something.")
    expires_at: datetime


class VerificationRequest(RequestModel):
    """A confirmation of an e-mail address."""

    token: MailedToken


class PasswordResetRequest(RequestModel):
    """A new password, proved by mail."""

    token: MailedToken
    new_password: NewPassword


class PasswordChangeRequest(RequestModel):
    """A new password, proved by the current one."""

    current_password: GivenPassword
    new_password: NewPassword


class MessageResponse(ResponseModel):
    """An answer that is the same for everybody, so that it reveals no account."""

    message: str = Field(examples=["If the address can be used, a mail is on its way."])


class ApiKeyCreate(RequestModel):
    """A new API key."""

    name: DisplayName
    scopes: list[Scope] = Field(
        default=[Scope.NOTES_READ],
        max_length=len(Scope),
        description="At most what the credential that asks may do.",
        examples=[["notes:read"]],
    )
    expires_at: AwareDatetime | None = Field(
        default=None,
        description="End of life, with time zone, at most a year ahead; null for a key without an end.",
        examples=["2031-01-31T12:00:00Z"],
    )

    @field_validator("scopes")
    @classmethod
    def without_repetition(cls, value: list[Scope]) -> list[Scope]:
        """Keep each scope once."""
        return sorted(set(value))

    @field_validator("expires_at")
    @classmethod
    def within_a_year(cls, value: datetime | None) -> datetime | None:
        """Refuse ends that have passed or are too far away."""
        if value is not None and not timedelta() < value - datetime.now(UTC) <= MAX_KEY_LIFETIME:
            raise ValueError("the end must lie in the future and within a year")
        return value


class ApiKeyResponse(ResponseModel):
    """A key without its secret."""

    id: str
    name: str
    prefix: str = Field(description="The public first part of the key.", examples=["rk_3f9a1c07"])
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None = Field(description="Null: the key has no end.")


class ApiKeyCreatedResponse(ApiKeyResponse):
    """A key with its secret: shown here and never again."""

    key: str = Field(description="Store it now; the service keeps only a digest.")


class NoteCreate(RequestModel):
    """A new note."""

    title: NoteTitle
    content: NoteContent = ""


class NoteUpdate(RequestModel):
    """Changes to a note; absent members stay as they are."""

    title: NoteTitle | None = None
    content: NoteContent | None = None


class NoteResponse(ResponseModel):
    """A note."""

    id: str
    title: str
    content: str
    created_at: datetime
    updated_at: datetime


class NoteQuestion(RequestModel):
    """What a WebSocket client sends: which note it wants."""

    note_id: str = Field(pattern=ID_PATTERN)


class HealthResponse(ResponseModel):
    """A sign of life."""

    status: str = Field(examples=["ok"])


class JsonWebKey(ResponseModel):
    """A public key (RFC 7517 §4)."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")

    kty: str
    kid: str
    use: str
    alg: str
    crv: str | None = None
    x: str | None = None
    y: str | None = None
    n: str | None = None
    e: str | None = None


class JsonWebKeySet(ResponseModel):
    """The keys that verify our tokens (RFC 7517 §5)."""

    keys: list[JsonWebKey]


class FieldProblem(ResponseModel):
    """One refused field. It names the rule, never the value (ASVS V16.5.1)."""

    field: str = Field(examples=["body.email"])
    problem: str = Field(examples=["this is not an e-mail address"])


class ErrorResponse(ResponseModel):
    """The body of every failure."""

    error: str = Field(description="Stable code for programs.", examples=["not_authenticated"])
    message: str = Field(description="Explanation for people.", examples=["This needs a credential."])
    fields: list[FieldProblem] | None = Field(default=None, description="Only with `validation_failed`.")
