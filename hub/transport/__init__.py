"""ASGI layers around Django that carry big bytes without holding a worker thread: parts in, files out, signed S3 requests through."""
