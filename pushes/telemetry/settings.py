"""Where traces and errors are told: by the names that OpenTelemetry and Sentry give to it."""

from importlib.util import find_spec
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # a package that it would be in
        return False


def _check_endpoint(url: str) -> str:
    if not _is_installed("opentelemetry.exporter.otlp.proto.http"):
        raise ValueError(
            "it needs packages of OpenTelemetry, which are not installed: "
            "pip install 'klarna-ack[otel]'"
        )
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("no URL of a collector that speaks OTLP over HTTP")
    return url


def _check_dsn(dsn: SecretStr) -> SecretStr:
    if not _is_installed("sentry_sdk"):
        raise ValueError(
            "it needs the package sentry-sdk, which is not installed: "
            "pip install 'klarna-ack[sentry]'"
        )
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415 - an extra

    try:
        Dsn(dsn.get_secret_value())
    except BadDsn as error:
        raise ValueError("no DSN of Sentry") from error
    return dsn


class TelemetrySettings(BaseModel):
    """The settings of a process that tells of its work. The SDK reads its other OTEL_… itself."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    otlp_endpoint: Annotated[str, AfterValidator(_check_endpoint)] | None = Field(
        None,
        alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="a URL such as http://localhost:4318",
    )
    sentry_dsn: Annotated[SecretStr, AfterValidator(_check_dsn)] | None = Field(
        None,
        alias="SENTRY_DSN",
        repr=False,
        description="a URL such as https://KEY@HOST/PROJECT",
    )
