"""Django settings, all from the environment (see deploy/env.example). No logic beyond choosing between local disk and S3."""

from __future__ import annotations

from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF

from hub.env import ROOT, data_dir, env, rating, secret_key, storage_kind

BASE_DIR = ROOT
DATA = data_dir()
SECRET_KEY = secret_key(DATA)
DEBUG = env.bool("WEIGH_DEBUG", default=False)
PUBLIC_URL = env("WEIGH_PUBLIC_URL", default="")

_hosts = ["127.0.0.1", "localhost", "[::1]"]
if PUBLIC_URL:
    _hosts.append(urlsplit(PUBLIC_URL).hostname or "")
ALLOWED_HOSTS = [*_hosts, *env.list("WEIGH_ALLOWED_HOSTS", default=[])]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "registry",
    "scanner",
    "inference",
    "hub",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "hub.requests.RequestIdMiddleware",
    "hub.programs.ProgramsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "hub.languages.PagesLocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "hub.urls"
WSGI_APPLICATION = "hub.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a program's POST into a GET
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "hub.web.site.context",
            ]
        },
    }
]

# --- people -------------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "registry.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = env("WEIGH_EMAIL_VERIFICATION", default="none")
ACCOUNT_USERNAME_MIN_LENGTH = 2
ACCOUNT_USERNAME_VALIDATORS = "registry.models.people.username_validators"
ACCOUNT_ADAPTER = "hub.web.accounts.AccountAdapter"
OPEN_SIGNUP = env.bool("WEIGH_OPEN_SIGNUP", default=True)
EMAIL_CONFIG = env.email_url("WEIGH_EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)

# --- content ratings (`registry.ratings`) ---------------------------------------------------------------------------------
MAX_RATING = rating("WEIGH_MAX_RATING", default="XXX")  # above it nothing is shown to anybody but its owner and moderators
STRANGER_RATING = rating("WEIGH_STRANGER_RATING", default="PG-13")  # what visitors without an account see
STRANGER_BLUR = rating("WEIGH_STRANGER_BLUR", default="R")  # pictures rated so or above are blurred for them

# --- stores -------------------------------------------------------------------------------------------------------------
DATABASES = {"default": {**env.db_url("DATABASE_URL", default="postgresql://hub@127.0.0.1:5432/hub"), "CONN_MAX_AGE": 60}}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Short questions, asked again and again: PostgreSQL shall neither compile them nor plan anew what was prepared (`registry.statements`).
_timeout = env.int("WEIGH_STATEMENT_TIMEOUT_MS", default=30_000)
_options = f"-c statement_timeout={_timeout} -c jit=off -c plan_cache_mode=force_generic_plan"
DATABASES["default"].setdefault("OPTIONS", {})["options"] = _options
DATABASES["default"]["TEST"] = {"NAME": env("WEIGH_TEST_DB", default="test_weighhouse")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_cache_url = env("WEIGH_CACHE_URL", default="")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _cache_url}
    if _cache_url
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

STORAGE_KIND = storage_kind()
STORAGE_ROOT = DATA / "storage"
SCRATCH = DATA / "scratch"
S3 = {
    "endpoint_url": env("WEIGH_S3_ENDPOINT", default=""),
    "public_endpoint": env("WEIGH_S3_PUBLIC_ENDPOINT", default=""),
    "access_key": env("WEIGH_S3_KEY", default=""),
    "secret_key": env("WEIGH_S3_SECRET", default=""),
    "region_name": env("WEIGH_S3_REGION", default="us-east-1"),
}
S3_BUCKETS = {
    "models": env("WEIGH_S3_BUCKET", default="weighhouse-models"),
    "quarantine": env("WEIGH_S3_QUARANTINE_BUCKET", default="weighhouse-quarantine"),
    "media": env("WEIGH_S3_MEDIA_BUCKET", default="weighhouse-media"),
}


def _storage(alias: str) -> dict:
    """Backend of one storage alias: a folder of the data directory, or a bucket."""
    if STORAGE_KIND == "local":
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": STORAGE_ROOT / alias, "base_url": None, "file_permissions_mode": 0o640},
        }
    options = {key: value for key, value in S3.items() if key != "public_endpoint"}
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            **options,
            "bucket_name": S3_BUCKETS[alias],
            "addressing_style": "path",
            "signature_version": "s3v4",
            "default_acl": None,
            "file_overwrite": False,
        },
    }


STORAGES = {
    "default": _storage("media"),
    "models": _storage("models"),
    "quarantine": _storage("quarantine"),
    "media": _storage("media"),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_URL = "/static/"
STATIC_ROOT = env.path("WEIGH_STATIC_ROOT", default=str(DATA / "static"))()
STATICFILES_DIRS = [ROOT / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/dist/assets/"  # Vite puts a hash into these names

# --- uploads ------------------------------------------------------------------------------------------------------------
MAX_FILE_BYTES = env.int("WEIGH_MAX_FILE_BYTES", default=50 * 2**30)
PART_SIZE_BYTES = env.int("WEIGH_PART_SIZE_BYTES", default=16 * 2**20)
USER_IMAGE_BYTES = env.int("WEIGH_USER_IMAGE_BYTES", default=5 * 2**30)  # images that one person attached to models
USER_QUOTA_BYTES = env.int("WEIGH_USER_QUOTA_BYTES", default=500 * 2**30)
PUSHED_TEXT_BYTES = env.int("WEIGH_PUSHED_TEXT_BYTES", default=2**30)  # texts and small pictures of one person, in the database
UPLOAD_EXPIRY_HOURS = env.int("WEIGH_UPLOAD_EXPIRY_HOURS", default=24)
KEEP_DELETED_DAYS = env.int("WEIGH_KEEP_DELETED_DAYS", default=30)
SIGNED_URL_SECONDS = env.int("WEIGH_SIGNED_URL_SECONDS", default=6 * 3600)
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 2**20
SERVE_FILES = env.bool("WEIGH_SERVE_FILES", default=True)  # False where nginx in front acts on X-Accel-Redirect itself

# --- workers ------------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = env("WEIGH_BROKER_URL", default="redis://127.0.0.1:6379/0")
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # the sweep is the only retry: it counts attempts, a broker does not
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "cpu"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 12 * 3600,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 30,
    "max_retries": 1,  # a request that nudges while the broker is away must not wait for it
    "interval_start": 0,
    "interval_step": 0.1,
}
CELERY_TASK_PUBLISH_RETRY = False  # a lost nudge is found by the sweep; a request must not wait for a broker
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 3
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "hub.sweep", "schedule": 10.0, "options": {"expires": 30}},
    "refresh-verdicts": {"task": "hub.refresh_verdicts", "schedule": 10.0, "options": {"expires": 30}},
    "refresh-search": {"task": "hub.refresh_search", "schedule": 10.0, "options": {"expires": 30}},
    "refresh-previews": {"task": "hub.refresh_previews", "schedule": 10.0, "options": {"expires": 30}},
    "tidy": {"task": "hub.tidy", "schedule": 900.0, "options": {"expires": 900}},
}
LEASE_SECONDS = env.int("WEIGH_LEASE_SECONDS", default=40)
SCAN_TIMEOUT_SECONDS = env.int("WEIGH_SCAN_TIMEOUT_SECONDS", default=60)
SCAN_SECOND_OPINIONS = env.bool("WEIGH_SECOND_OPINIONS", default=True)
PREVIEWS = env.bool("WEIGH_PREVIEWS", default=True)  # False: nothing is rendered unasked
RENDER_DEVICE = env("WEIGH_RENDER_DEVICE", default="auto")  # auto, cpu, cuda
RENDER_GPU = env("WEIGH_GPU", default="")  # the one that this worker uses, as nvidia-smi counts; empty: the first
RENDER_THREADS = env.int("WEIGH_RENDER_THREADS", default=0)  # of torch on processors; 0: all but one, up to 16
T5_DIR = env("WEIGH_T5_DIR", default="")  # folder with T5's tokenizer.json and encoder, which Flux needs; empty: there is none
RENDER_COMPILE = env("WEIGH_RENDER_COMPILE", default="")  # folder of compiled UNets (`manage compile_renderer`); empty: nothing is compiled
CPU_RENDER_MAX_BYTES = env.int("WEIGH_CPU_RENDER_MAX_BYTES", default=300 * 10**6)  # weights that a worker without a GPU takes on
RENDER_CACHE_BYTES = env.int("WEIGH_RENDER_CACHE_BYTES", default=30 * 2**30)  # weights that a worker keeps at hand where the store is S3
RENDER_MAX_PIXELS = env.int("WEIGH_RENDER_MAX_PIXELS", default=0)  # 0: 2048x2048 where a worker with a GPU runs, else 1024x1024
RENDER_MAX_PICTURES = env.int("WEIGH_RENDER_MAX_PICTURES", default=16)
RENDER_MAX_STEPS = env.int("WEIGH_RENDER_MAX_STEPS", default=100)
RENDER_OPEN_PER_USER = env.int("WEIGH_RENDER_OPEN_PER_USER", default=3)
RENDER_PICTURES_PER_DAY = env.int("WEIGH_RENDER_PICTURES_PER_DAY", default=500)
KEEP_RENDERS_DAYS = env.int("WEIGH_KEEP_RENDERS_DAYS", default=30)  # what people asked for; 0: for ever
CLAMD_SOCKET = env("CLAMD_SOCKET", default="")  # path of a ClamAV daemon's unix socket; empty: no virus scanner

# --- API ----------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["hub.api.tokens.BearerAuthentication", "rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "hub.api.errors.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Weighhouse API",
    "DESCRIPTION": "Create entries, upload weights, watch them being judged, publish. Bearer tokens are made on the account page.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/hub/",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["hub.api.hub.docs.only_ours"],
}

# --- safety -------------------------------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "style-src-attr": ["'unsafe-inline'"],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF, *([S3["public_endpoint"]] if STORAGE_KIND == "s3" and S3["public_endpoint"] else [])],
        "object-src": [NONE],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
_https = env.bool("WEIGH_HTTPS", default=PUBLIC_URL.startswith("https://"))
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("WEIGH_BEHIND_PROXY", default=False) else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "hub.web.errors.csrf_failed"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [ROOT / "locale"]
FORMAT_MODULE_PATH = "hub.formats"
LANGUAGE_COOKIE_NAME = "language"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"no_tokens": {"()": "hub.requests.TokenFilter"}},
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no_tokens"]}},
    "root": {"handlers": ["console"], "level": env("WEIGH_LOG_LEVEL", default="INFO")},
    "loggers": {"django.server": {"level": "WARNING"}, "botocore": {"level": "WARNING"}, "boto3": {"level": "WARNING"}},
}
