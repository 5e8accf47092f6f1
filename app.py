"""Start Biotwin: read the settings, build the services, build the app, serve."""

import sys

from waitress import serve

from dashboard.server import create_app, keep_memory_together
from twin_core.bootstrap import build_services
from twin_core.domain.errors import BiotwinError
from twin_core.domain.settings import Settings


def main() -> None:
    """Serve the dashboard until stopped."""
    keep_memory_together()
    settings = Settings()
    try:
        services = build_services(settings)
    except BiotwinError as error:
        sys.exit(f"Biotwin cannot start. {error}")
    app = create_app(services, settings)
    print(f"Biotwin is at http://{settings.host}:{settings.port} (stop with Ctrl+C)", flush=True)  # noqa: T201
    try:
        serve(app.server, host=settings.host, port=settings.port, threads=settings.server_threads, ident=None)
    except OSError as error:
        sys.exit(
            f"Biotwin cannot serve on port {settings.port} ({error}). Free it, or set BIOTWIN_PORT to another one."
        )


if __name__ == "__main__":
    main()
