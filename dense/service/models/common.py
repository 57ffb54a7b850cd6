"""What all answers share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """A part of an answer."""


class Asked(BaseModel):
    """The body of a request; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Problem(Model):
    """Every error."""

    error: str = Field(description="One sentence: what is wrong, and how to mend it.")
    request_id: str = Field(description="The same as in the header X-Request-ID and in the log.")
    message: str | None = Field(
        default=None, description="The sentence again, where clients of AWS look for it."
    )


class Login(Asked):
    """A key, to open a session of the page."""

    key: str = Field(min_length=1, max_length=200)


class Session(Model):
    """Who is there, and what the page sends back as X-CSRF-Token with every change."""

    role: str
    name: str
    csrf: str


class Health(Model):
    """State of the service."""

    status: str
    detail: str = ""


class Name(Model):
    """A name."""

    name: str
