"""A classic Django site without any document: a login page with a CSRF token, a session cookie, a redirect to it.

People see their name in a page. The page's scripts talk to `/api/`, which answers JSON and wants the CSRF
header for everything that changes something.
"""

import json
import secrets

import django
from django.conf import settings

SERVER = "waitress"
TEMPLATES = {
    "login.html": """<!doctype html><html lang="en"><head><title>Sign in · Larder</title></head><body>
<nav><a href="/">Larder</a></nav>
<form method="post" action="/accounts/login/">{% csrf_token %}
<input type="hidden" name="next" value="{{ next }}">
{% if error %}<ul class="errorlist"><li>Please enter a correct username and password.</li></ul>{% endif %}
<p><label for="id_username">Username:</label> <input type="text" name="username" autofocus maxlength="150" required id="id_username"></p>
<p><label for="id_password">Password:</label> <input type="password" name="password" required id="id_password"></p>
<button type="submit">Sign in</button></form></body></html>""",
    "profile.html": """<!doctype html><html lang="en"><head><title>Your profile · Larder</title></head><body>
<nav><a href="/">Larder</a> <span class="navbar-text">Signed in as <strong>{{ name }}</strong></span>
<form method="post" action="/accounts/logout/">{% csrf_token %}<button>Sign out</button></form></nav>
<h1>Your profile</h1><dl><dt>Pages seen</dt><dd>{{ seen }}</dd></dl></body></html>""",
    "home.html": """<!doctype html><html lang="en"><head><title>Larder</title></head><body><h1>Larder</h1>
<a href="/accounts/login/">Sign in</a> <a href="/accounts/profile/">Profile</a></body></html>""",
}

if not settings.configured:
    settings.configure(
        SECRET_KEY=secrets.token_hex(32),
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["127.0.0.1"],
        INSTALLED_APPS=["django.contrib.sessions"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        SESSION_COOKIE_SECURE=True,
        CSRF_COOKIE_SECURE=True,
        SESSION_COOKIE_NAME="larder_session",
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)],
                    "context_processors": ["django.template.context_processors.request"],
                },
            }
        ],
    )
    django.setup()

from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from zoo.people import PEOPLE, Book, Brake

book, brake = Book(PEOPLE), Brake()
jars = {}


def page_for_members(view):
    @never_cache
    def wrapped(request, **rest):
        if "member" not in request.session:
            return HttpResponseRedirect(f"/accounts/login/?next={request.path}")
        return view(request, **rest)

    return wrapped


def api_for_members(view):
    @never_cache
    def wrapped(request, **rest):
        if "member" not in request.session:
            return JsonResponse({"detail": "Authentication credentials were not provided."}, status=403)
        return view(request, **rest)

    return wrapped


@never_cache
@require_http_methods(["GET", "POST"])
def login(request):
    if request.method == "GET":
        return render(request, "login.html", {"next": request.GET.get("next", "")})
    name = request.POST.get("username", "")
    if wait := brake.wait(name):
        answer = render(request, "login.html", {"error": True}, status=429)
        answer["Retry-After"] = str(wait)
        return answer
    if not book.check(name, request.POST.get("password", "")):
        brake.wrong(name)
        return render(request, "login.html", {"error": True})
    brake.right(name)
    request.session.flush()
    request.session["member"] = name
    return HttpResponseRedirect("/accounts/profile/")


@require_http_methods(["POST"])
def logout(request):
    request.session.flush()
    return HttpResponseRedirect("/")


@page_for_members
def profile(request):
    request.session["seen"] = request.session.get("seen", 0) + 1
    return render(
        request, "profile.html", {"name": request.session["member"], "seen": request.session["seen"]}
    )


@api_for_members
def jar_list(request):
    name = request.session["member"]
    if request.method == "POST":
        try:
            label = json.loads(request.body)["label"]
        except (ValueError, KeyError, TypeError):
            return JsonResponse({"label": ["This field is required."]}, status=400)
        key = len(jars) + 1
        jars[key] = {"id": key, "label": str(label), "owner": name}
        return JsonResponse(jars[key], status=201)
    return JsonResponse(
        {"count": len(jars), "results": [jar for jar in jars.values() if jar["owner"] == name]}
    )


@api_for_members
def me(request):
    return JsonResponse(
        {"pk": sorted(PEOPLE).index(request.session["member"]) + 1, "username": request.session["member"]}
    )


def home(request):
    return render(request, "home.html")


urlpatterns = [
    path("", home),
    path("accounts/login/", login),
    path("accounts/logout/", logout),
    path("accounts/profile/", profile),
    path("api/jars/", jar_list),
    path("api/me/", me),
]


def create_app():
    return WSGIHandler()
