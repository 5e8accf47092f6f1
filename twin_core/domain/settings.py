"""Everything that can be set from outside, read once (environment variables `BIOTWIN_...`) and passed down."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How this installation runs; the defaults are the embedded single-user set-up."""

    model_config = SettingsConfigDict(env_prefix="BIOTWIN_", extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to serve on.")
    port: int = Field(default=8050, ge=1, le=65535, description="Port to serve on.")
    data_folder: Path = Field(
        default=Path("data"), description="Where the database and the cache are kept (mode 0700)."
    )
    sample_folder: Path = Field(default=Path("sample_data"), description="Where the demo people's files lie.")
    background_slots: int = Field(default=1, ge=1, le=16, description="Background computations that may run at once.")
    server_threads: int = Field(default=6, ge=1, le=64, description="Requests answered at once.")
