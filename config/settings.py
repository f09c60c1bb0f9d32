"""What may be set, with defaults and limits: TOML file first, then `PAPERBOY_<SECTION>__<KEY>` variables over it.

The README's table is generated from these models (`python -m config.table`): a field's description is its
documentation.
"""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from bot.texts import languages

PREFIX = "PAPERBOY_"
CONFIG_VARIABLE = "PAPERBOY_CONFIG"  # the one variable that is not a setting: the settings file's path
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HTTP_URL = r"^https?://\S+$"
NAME = r"^[a-z0-9_-]{1,32}$"


def _listed(value: object) -> object:
    """A variable holds a list as `a,b`, or as JSON; TOML hands over real lists."""
    if not isinstance(value, str):
        return value
    return [part for part in (raw.strip(" \t\"'") for raw in value.strip("[] ").split(",")) if part]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Asia/Shanghai") from error
    return name


def _language(name: str) -> str:
    if name not in languages():
        raise ValueError(f"unknown language {name!r}; there are {', '.join(languages())}")
    return name


def _weekday(value: object) -> object:
    if isinstance(value, str) and value.strip().lower()[:3] in WEEKDAYS:
        return WEEKDAYS.index(value.strip().lower()[:3])
    return value


def _clock_time(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", value):
        raise ValueError("must be a time of day such as 09:30")
    return value


Strings = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Integers = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_listed)]
Weekday = Annotated[int, BeforeValidator(_weekday), Field(ge=0, le=6)]
TimeZone = Annotated[str, AfterValidator(_zone)]
Language = Annotated[str, AfterValidator(_language)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
Name = Annotated[str, Field(pattern=NAME)]
Url = Annotated[str, Field(pattern=HTTP_URL), AfterValidator(lambda url: url.rstrip("/"))]


class Section(BaseModel):
    """A table of the settings: unknown keys are errors, and every secret `x` may come from a file named by `x_file`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, values: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever was written
        if not isinstance(values, Mapping):
            return values
        # A variable that is set to nothing (`${TOKEN:-}` in a compose file) is one that is not set.
        values = {name: value for name, value in values.items() if value != "" or name not in cls._optional()}
        for name in [name for name in values if name.endswith("_file") and name in cls.model_fields]:
            secret = name.removesuffix("_file")
            if values.get(secret) is not None:
                raise ValueError(f"{secret} and {name} are both given; keep one of them")
            if values[name] is not None:
                values[secret] = _read_secret(name, Path(str(values[name])))
        return values

    @classmethod
    def _optional(cls) -> frozenset[str]:
        return frozenset(name for name, info in cls.model_fields.items() if info.default is None)


def _read_secret(name: str, path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: cannot read the file it names ({type(error).__name__})") from None


class ReportSettings(Section):
    """How a day is chosen and how much of it is read."""

    papers: int = Field(15, ge=1, le=100, description="papers of the day's list to score, best by upvotes first")
    deep_dives: int = Field(2, ge=0, le=20, description="the most papers to deep-dive")
    min_score: int = Field(60, ge=0, le=100, description="a paper below this score is never deep-dived")
    list_day: Literal["previous", "current"] = Field(
        "previous",
        description="`previous`: the last completed UTC weekday's list; `current`: today's, which still fills",
    )
    repeat_after_days: int = Field(60, ge=0, le=3650, description="days before a chosen paper may be chosen again")


class ScheduleSettings(Section):
    """When the daily report goes out, unless a channel says otherwise."""

    time: ClockTime = Field(time(9, 30), description="time of day, HH:MM, in `timezone`")
    timezone: TimeZone = Field("Asia/Shanghai", description="IANA time zone")
    weekdays: Annotated[tuple[Weekday, ...], NoDecode, BeforeValidator(_listed)] = Field(
        (0, 1, 2, 3, 4, 5, 6), description="days in that zone: mon … sun, or 0 (Monday) … 6"
    )
    catch_up_hours: float = Field(
        12, ge=0, le=168, description="a missed report is still sent within these hours, marked late"
    )
    enabled: bool = Field(default=True, description="false: nothing is sent by itself")


class LLMSettings(Section):
    """The language model. Without one, the extractive analyst works, and says so."""

    model: str = Field("", description="any litellm model, e.g. `gemini/gemini-2.5-flash`; empty: no model")
    fallbacks: Strings = Field((), description="models to try when `model` fails")
    api_base: Url | None = Field(None, description="endpoint for models of `model`'s provider")
    api_key: SecretStr | None = Field(None, description="key for models of `model`'s provider")
    api_key_file: Path | None = Field(None, description="file that holds `api_key`")
    structured: Literal["auto", "schema", "json", "prompt"] = Field(
        "auto", description="how a structured reply is asked for: `auto`, `schema`, `json` or `prompt`"
    )
    concurrency: int = Field(16, ge=1, le=256, description="model calls at once")
    timeout_seconds: float = Field(120, gt=0, le=3600, description="longest time for one call")
    daily_budget_usd: float | None = Field(
        None, ge=0, description="models may cost this much a UTC day; none: no limit"
    )
    max_input_tokens: int | None = Field(
        None, ge=1000, description="longest input for the model; none: what it takes, up to 48,000"
    )


class StoreSettings(Section):
    """Where truth lives."""

    url: str = Field(
        "sqlite:///paperboy.db",
        description="`sqlite:///file.db`, relative to the settings file's folder; or `redis://host:6379/0`, "
        "`rediss://…` (with TLS) or `unix:///path/to/redis.sock`",
    )
    password: SecretStr | None = Field(None, description="the Redis server's password, instead of one within `url`")
    password_file: Path | None = Field(None, description="file that holds `password`")


class SourcesSettings(Section):
    """Where lists and papers come from."""

    huggingface_url: Url = Field("https://huggingface.co", description="origin of the daily list")
    arxiv_url: Url = Field("https://arxiv.org", description="origin of full texts")
    arxiv_api_url: Url = Field("https://export.arxiv.org/api/query", description="arXiv's metadata API, whole")
    arxiv_pause_seconds: float = Field(3.0, ge=0, le=60, description="least time between two requests to arXiv")
    contact: str = Field(
        "",
        max_length=200,
        pattern=r"^[\x20-\x7e]*$",
        description="your mail or web address, told to the sources in the User-Agent",
    )


class TelegramSettings(Section):
    """The Telegram bot."""

    token: SecretStr | None = Field(None, description="the bot's token from @BotFather")
    token_file: Path | None = Field(None, description="file that holds `token`")
    api_url: Url = Field("https://api.telegram.org", description="Bot API server, without `/bot`")
    mode: Literal["polling", "webhook"] = Field(
        "polling", description="how updates arrive: `polling`, or `webhook` at `web.public_url`/telegram"
    )
    webhook_secret: SecretStr | None = Field(None, description="secret of the webhook: A-Z, a-z, 0-9, _ and -")
    webhook_secret_file: Path | None = Field(None, description="file that holds `webhook_secret`")
    lease_seconds: float = Field(
        30.0,
        ge=1,
        le=300,
        description="with several replicas, how long after the death of the one that polls another one does",
    )
    allowed_chats: Integers = Field((), description="chats that are served beside those of `[[channels]]`")
    admins: Integers = Field((), description="user IDs of administrators")


class SlackSettings(Section):
    """The Slack app."""

    bot_token: SecretStr | None = Field(None, description="bot token (`xoxb-…`)")
    bot_token_file: Path | None = Field(None, description="file that holds `bot_token`")
    app_token: SecretStr | None = Field(None, description="app-level token (`xapp-…`) for Socket Mode")
    app_token_file: Path | None = Field(None, description="file that holds `app_token`")
    signing_secret: SecretStr | None = Field(None, description="signing secret for HTTP mode")
    signing_secret_file: Path | None = Field(None, description="file that holds `signing_secret`")
    api_url: Url = Field("https://slack.com/api/", description="Web API")
    mode: Literal["socket", "http"] = Field(
        "socket", description="how events arrive: `socket`, or `http` at `web.public_url`/slack/events"
    )
    allowed_channels: Strings = Field((), description="channels that are served beside those of `[[channels]]`")
    admins: Strings = Field((), description="user IDs of administrators")


class WebSettings(Section):
    """The archive of reports, the feed and health."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0: any free one")
    public_url: Url | None = Field(
        None, description="where readers reach the archive; none: messages carry no web link"
    )
    token: SecretStr | None = Field(None, description="asked of readers of the archive; none: open")
    token_file: Path | None = Field(None, description="file that holds `token`")


class LogSettings(Section):
    """What happens, line by line, on stderr."""

    format: Literal["auto", "text", "json"] = Field(
        "auto", description="`text`, `json` (an object a line), or `auto`: JSON where `run` has no terminal"
    )


class OperatorSettings(Section):
    """Who hears of troubles."""

    channel: str | None = Field(
        None, description="name of the `[[channels]]` entry that hears of troubles; none: the log"
    )


class LimitsSettings(Section):
    """What one person may ask for."""

    per_user_per_day: int = Field(
        20, ge=0, description="requests that take the model or a source, a user and UTC day; 0: no limit"
    )
    cooldown_seconds: float = Field(10, ge=0, description="least time between two such requests of a user")
    jobs: int = Field(16, ge=1, le=256, description="requests that are worked on at once; others wait in line")
    jobs_per_chat: int = Field(4, ge=1, le=256, description="the same for one chat")


class ProfileSettings(Section):
    """What one team cares about."""

    name: Name = Field(description="lower-case letters, digits, `_` and `-`")
    interests: tuple[str, ...] = Field(min_length=1, description="topics, most important first")
    exclude: tuple[str, ...] = Field((), description="topics to push down")
    audience: str = Field("", max_length=500, description="who reads: takeaways are written for them")


class ChannelSettings(Section):
    """A place to post. Empty keys take the general setting."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)

    name: Name = Field(description="lower-case letters, digits, `_` and `-`")
    platform: Literal["telegram", "slack", "console"] = Field(description="`telegram`, `slack` or `console`")
    target: str = Field("", description='Telegram: "-100…" or "@name"; Slack: "C…"')
    topic: int | None = Field(None, ge=1, description="Telegram forum topic")
    profile: str | None = Field(None, description="name of a `[[profiles]]` entry; none: the first")
    language: Language | None = Field(None, description="zh or en; none: `language`")
    time: ClockTime | None = Field(None, description="HH:MM; none: `schedule.time`")
    timezone: TimeZone | None = Field(None, description="IANA time zone; none: `schedule.timezone`")
    style: Literal["classic", "rich"] = Field("classic", description="`classic`; `rich` is not used yet")

    @model_validator(mode="after")
    def _target_fits_platform(self) -> Self:
        shapes = {"telegram": r"-?\d+|@\w{4,}", "slack": r"[CGD][A-Z0-9]{2,}", "console": r".*"}
        if not re.fullmatch(shapes[self.platform], self.target):
            wanted = {
                "telegram": 'a chat ID such as "-1001234567890" or "@name"',
                "slack": 'a channel ID such as "C0123456789"',
            }
            raise ValueError(f"target: {self.platform} needs {wanted[self.platform]}")
        if self.topic is not None and self.platform != "telegram":
            raise ValueError("topic: only Telegram has topics")
        return self


DEFAULT_PROFILE = ProfileSettings(
    name="default",
    interests=(
        "Image Restoration",
        "Masked Autoregressive",
        "Flow Matching",
        "Super-Resolution",
        "Diffusion",
        "Image Generation",
    ),
    audience="image-restoration researchers",
)


class Settings(BaseSettings):
    """Everything that can be set. Build it with `config.load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    language: Language = Field("zh", description="of reports, where a channel names none: zh or en")
    report: ReportSettings = ReportSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    llm: LLMSettings = LLMSettings()
    store: StoreSettings = StoreSettings()
    sources: SourcesSettings = SourcesSettings()
    telegram: TelegramSettings = TelegramSettings()
    slack: SlackSettings = SlackSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    operator: OperatorSettings = OperatorSettings()
    limits: LimitsSettings = LimitsSettings()
    profiles: tuple[ProfileSettings, ...] = (DEFAULT_PROFILE,)
    channels: tuple[ChannelSettings, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables win over the file, whose content `config.load` hands in."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        problems = list(self._name_problems())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _name_problems(self) -> Iterator[str]:
        for kind, names in (
            ("profiles", [profile.name for profile in self.profiles]),
            ("channels", [channel.name for channel in self.channels]),
        ):
            yield from (
                f"{kind}: the name {name!r} is given twice" for name in sorted(set(names)) if names.count(name) > 1
            )
        profiles = [profile.name for profile in self.profiles]
        for channel in self.channels:
            if channel.profile is not None and channel.profile not in profiles:
                known = ", ".join(profiles)
                yield f"channels.{channel.name}.profile: unknown profile {channel.profile!r}; there are {known}"
        if self.telegram.mode == "webhook" and (self.telegram.webhook_secret is None or self.web.public_url is None):
            yield "telegram.mode: a webhook needs telegram.webhook_secret and web.public_url"
        if self.slack.mode == "http" and self.slack.signing_secret is None:
            yield "slack.mode: http needs slack.signing_secret"
        if self.operator.channel is not None and self.operator.channel not in [
            channel.name for channel in self.channels
        ]:
            yield f"operator.channel: there is no channel named {self.operator.channel!r}"


def variable_names() -> Mapping[str, str]:
    """Every environment variable that is a setting, with its place: PAPERBOY_LLM__MODEL -> llm.model."""
    names = {}
    for section, table in Settings.model_fields.items():
        if isinstance(table.annotation, type) and issubclass(table.annotation, Section):
            for key in table.annotation.model_fields:
                names[f"{PREFIX}{section}__{key}".upper()] = f"{section}.{key}"
        elif section not in ("profiles", "channels"):
            names[f"{PREFIX}{section}".upper()] = section
    return names


def unknown_variables() -> tuple[str, ...]:
    """PAPERBOY_* variables that are no setting; pydantic-settings ignores them in silence."""
    known = {*variable_names(), CONFIG_VARIABLE}
    return tuple(sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known))
