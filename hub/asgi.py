"""The server's application: Django over a thread pool, inside the layers that carry big bytes (`hub.transport`)."""

# ruff: noqa: I001  (Django must be set up before the layers import its models)
from hub.wsgi import application as django_application

from a2wsgi import WSGIMiddleware
from django.conf import settings

from hub.api.hub.render_events import RenderFeed
from hub.transport.accel import Accel
from hub.transport.events import Events
from hub.transport.inserted import Inserted
from hub.transport.parts import Parts
from hub.transport.s3proxy import S3Proxy
from hub.transport.slashes import SingleSlash
from hub.web.watching import WorkFeed

django = WSGIMiddleware(django_application, workers=16)
files = Accel(django) if settings.SERVE_FILES else django
application = S3Proxy(Parts(SingleSlash(Inserted(Events(files, {"render": RenderFeed, "work": WorkFeed})))))
