# One image for web, workers and beat; docker-compose.yml tells which part a container plays.
# WEIGH_TORCH_INDEX names another index for torch, for example PyTorch's own index of CPU builds.

FROM node:24-bookworm-slim AS frontend
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --include=dev --no-audit --no-fund
COPY vite.config.js ./
COPY frontend frontend
COPY templates templates
COPY hub/web hub/web
COPY hub/templatetags hub/templatetags
RUN npm run build

FROM python:3.11-slim-bookworm
ARG WEIGH_TORCH_INDEX=""
ENV PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=hub.settings WEIGH_DATA=/data WEIGH_STATIC_ROOT=/srv/static
WORKDIR /srv/weighhouse
COPY constraints.txt requirements-web.txt requirements.txt requirements-clip.txt ./
RUN pip install --no-cache-dir uv==0.13.9 \
    && if [ -n "$WEIGH_TORCH_INDEX" ]; then \
        uv pip install --system --no-cache --no-deps --index-url "$WEIGH_TORCH_INDEX" "$(grep '^torch==' requirements.txt)"; \
    fi \
    && uv pip install --system --no-cache --compile-bytecode -r requirements.txt \
    && uv pip install --system --no-cache --no-deps -r requirements-clip.txt
RUN groupadd --gid 10001 weighhouse \
    && useradd --uid 10001 --gid weighhouse --create-home --shell /usr/sbin/nologin weighhouse \
    && install -d -o weighhouse -g weighhouse -m 0750 /data
COPY . .
COPY --from=frontend /build/static/dist static/dist
RUN python -m compileall -q hub registry scanner inference \
    && WEIGH_DATA=/tmp/build WEIGH_SECRET_KEY=for-the-build-only python manage.py collectstatic --noinput -v 0 \
    && rm -rf /tmp/build
USER weighhouse
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "hub.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--no-access-log", "--lifespan", "off", "--timeout-graceful-shutdown", "10", "--proxy-headers", "--forwarded-allow-ips", "*"]
