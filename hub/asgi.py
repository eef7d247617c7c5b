"""The server's application: Django over a thread pool, inside the layers that carry big bytes (`hub.transport`)."""

from a2wsgi import WSGIMiddleware

from hub.wsgi import application as django_application

application = WSGIMiddleware(django_application, workers=16)
