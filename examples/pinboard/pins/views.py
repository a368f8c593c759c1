"""The pages, and what their buttons do. Whatever changes something is a POST with Django's CSRF token."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import Http404, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pins import actions, pictures
from pins.forms import CommentForm, PinForm
from pins.managers import manager
from pins.models import BOARDS, Comment, Follow, Person, Pin
from pins.pages import Cards, lines
from stream_framework.contrib.django.pagination import FeedPaginator

#: How many pins, or groups, a page has.
PINS, GROUPS = 12, 15


@require_safe
def welcome(request: Any) -> Any:
    """The accounts, to sign in as one of them by a click."""
    if request.user.is_authenticated:
        return redirect('home')
    accounts = Person.objects.annotate(pin_count=Count('pins')).order_by('pk')
    return render(request, 'pins/welcome.html', {'accounts': accounts, 'boards': BOARDS})


@require_POST
def sign_in(request: Any, username: str) -> Any:
    """Sign in, without a password.

    The accounts are made up, and everybody who tries the example should see it from several sides: a password would be
    one more thing to type that protects nothing. A site with real accounts has Django's own ``LoginView`` here.
    """
    person = get_object_or_404(Person, username=username)
    login(request, person, backend='django.contrib.auth.backends.ModelBackend')
    return redirect(_next(request, 'home'))


@require_POST
def sign_out(request: Any) -> Any:
    """Sign out."""
    logout(request)
    return redirect('welcome')


@require_safe
@login_required
def home(request: Any) -> Any:
    """The flat feed: what those whom one follows have pinned. The cursor in the address leads from page to page."""
    page = FeedPaginator(manager.get_feeds(request.user.pk)['home'], PINS).page_for(request)
    return render(request, 'pins/home.html', {'page': page, 'cards': Cards(request.user).of_activities(page)})


@require_safe
@login_required
def grouped(request: Any) -> Any:
    """The aggregated feed: the same, with loves and comments, in groups."""
    page = FeedPaginator(manager.get_feeds(request.user.pk)['grouped'], GROUPS).page_for(request)
    return render(request, 'pins/grouped.html', {'page': page, 'lines': lines(page)})


@require_safe
@login_required
def notifications(request: Any) -> Any:
    """What others did to oneself. Looking marks nothing: browsers fetch pages ahead, and again."""
    feed = manager.get_notifications(request.user.pk)
    page = FeedPaginator(feed, GROUPS).page_for(request)
    return render(
        request, 'pins/notifications.html', {'page': page, 'lines': lines(page), 'unread_count': feed.count_unread()}
    )


@require_POST
@login_required
def open_notification(request: Any, group_id: int) -> Any:
    """Mark a notification as seen and read, and go where it leads.

    Its id changes when something joins it; one that has changed since the page was made is not marked, for its reader
    has not seen what came. So it stays unread.
    """
    feed = manager.get_notifications(request.user.pk)
    feed.mark_activity(group_id, seen=True, read=True)
    found = lines(feed.filter(activity_id__gte=group_id, activity_id__lte=group_id)[:1])
    return redirect(found[0].url if found else 'notifications')


@require_POST
@login_required
def mark_all(request: Any) -> Any:
    """Mark all notifications: as seen, which empties the badge, or as read, too."""
    manager.get_notifications(request.user.pk).mark_all(seen=True, read='read' in request.POST)
    return redirect('notifications')


@require_safe
@login_required
def people(request: Any) -> Any:
    """Everybody, and whether one follows them."""
    everybody = Person.objects.annotate(
        pin_count=Count('pins', distinct=True), follower_count=Count('followers', distinct=True)
    ).order_by('first_name')
    return render(request, 'pins/people.html', {'people': everybody, 'followed': _followed(request.user)})


@require_safe
@login_required
def profile(request: Any, username: str) -> Any:
    """What one person has pinned. That stands in the database: no feed is needed for it."""
    person = get_object_or_404(Person, username=username)
    context = {
        'person': person,
        'cards': Cards(request.user).of_pins(person.pins.all()[:60]),
        'follower_count': person.followers.count(),
        'following_count': person.following.count(),
        'followed': _followed(request.user),
    }
    return render(request, 'pins/profile.html', context)


@require_POST
@login_required
def follow(request: Any, username: str) -> Any:
    """Follow somebody."""
    person = get_object_or_404(Person, username=username)
    try:
        actions.follow(request.user, person)
    except ValidationError as error:
        return HttpResponseBadRequest(error.message, content_type='text/plain')
    messages.success(request, f'You follow {person.name}: what they pinned is in your feed.')
    return redirect(_next(request, person))


@require_POST
@login_required
def unfollow(request: Any, username: str) -> Any:
    """Follow somebody no longer."""
    person = get_object_or_404(Person, username=username)
    actions.unfollow(request.user, person)
    messages.success(request, f'You no longer follow {person.name}: what they pinned has left your feed.')
    return redirect(_next(request, person))


@require_http_methods(['GET', 'HEAD', 'POST'])
@login_required
def new_pin(request: Any) -> Any:
    """Pin something."""
    form = PinForm(request.POST if request.method == 'POST' else None)
    if form.is_valid():
        made = actions.pin(request.user, **form.cleaned_data)
        messages.success(request, 'Pinned: your followers have it in their feeds.')
        return redirect(made)
    status = 400 if form.is_bound else 200
    return render(request, 'pins/new_pin.html', {'form': form, 'boards': BOARDS}, status=status)


@require_safe
@login_required
def pin(request: Any, pin_id: int) -> Any:
    """One pin, with its comments."""
    return _show_pin(request, pin_id, CommentForm())


@require_POST
@login_required
def love(request: Any, pin_id: int) -> Any:
    """Love a pin."""
    pinned = get_object_or_404(Pin.objects.select_related('author'), pk=pin_id)
    actions.love(request.user, pinned)
    return _loved(request, pinned, True)


@require_POST
@login_required
def unlove(request: Any, pin_id: int) -> Any:
    """Love it no longer."""
    pinned = get_object_or_404(Pin, pk=pin_id)
    actions.unlove(request.user, pinned)
    return _loved(request, pinned, False)


@require_POST
@login_required
def comment(request: Any, pin_id: int) -> Any:
    """Say something about a pin."""
    pinned = get_object_or_404(Pin, pk=pin_id)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return _show_pin(request, pin_id, form, status=400)
    actions.comment(request.user, pinned, form.cleaned_data['text'])
    return redirect(pinned)


@require_POST
@login_required
def remove_pin(request: Any, pin_id: int) -> Any:
    """Take one of one's own pins off the board."""
    pinned = get_object_or_404(Pin, pk=pin_id, author=request.user)
    actions.unpin(pinned)
    messages.success(request, f'“{pinned.title}” is gone, from your followers’ feeds too.')
    return redirect(request.user)


@require_safe
@cache_control(public=True, max_age=86400)
def art(request: Any, board: str, number: int) -> Any:
    """The picture of a pin: drawn from its number, so that there is nothing to store or to download."""
    if board not in BOARDS:
        raise Http404(f'there is no board {board!r}')
    return HttpResponse(pictures.draw(board, number), content_type='image/svg+xml')


def _show_pin(request: Any, pin_id: int, form: CommentForm, status: int = 200) -> Any:
    cards = Cards(request.user)
    shown = get_object_or_404(Pin, pk=pin_id)
    context = {
        'pin': cards.of_pins([shown])[0],
        'others': cards.of_pins(shown.author.pins.exclude(pk=pin_id)[:4]),
        'comments': Comment.objects.filter(pin_id=pin_id).select_related('person'),
        'form': form,
        'followed': _followed(request.user),
    }
    return render(request, 'pins/pin.html', context, status=status)


def _loved(request: Any, pinned: Pin, loved: bool) -> Any:
    if request.headers.get('Accept') == 'application/json':
        # From the script, which stays on the page: without one, the button is a form like any other.
        return JsonResponse({'loved': loved, 'count': pinned.loves.count()})
    return redirect(_next(request, pinned))


def _followed(person: Any) -> set[int]:
    return set(Follow.objects.filter(follower=person).values_list('followed_id', flat=True))


def _next(request: Any, otherwise: Any) -> Any:
    """Where a form says to go on, if that is on this site."""
    url = request.POST.get('next', '')
    safe = url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return url if safe else otherwise
