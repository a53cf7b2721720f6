"""`python -m service`: serve with gunicorn, once the settings are known to be usable.

gunicorn reads WEB_CONCURRENCY as it is imported, and a value that is no number ends it with a
traceback. So ours are read before.
"""

import os
import sys
from importlib import import_module

from pushes.settings import ConfigurationError, complain
from service.settings import load

_GUNICORN = ("-c", "deploy/gunicorn.conf.py", "service:create_app()")


def main() -> None:
    """Be gunicorn until told to stop; end with 78 when a setting is not usable."""
    try:
        settings = load(os.environ)
    except ConfigurationError as error:
        sys.exit(complain("web", error))
    os.environ["WEB_CONCURRENCY"] = str(settings.processes)  # an empty one is no number either
    sys.argv[1:] = _GUNICORN
    import_module("gunicorn.app.wsgiapp").run()


if __name__ == "__main__":
    main()
