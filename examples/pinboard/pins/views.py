"""The pages, and what their buttons do. Whatever changes something is a POST with Django's CSRF token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import Http404, HttpResponse, HttpResponseBadRequest, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pins import actions, pictures, verbs
from pins.forms import CommentForm, PinForm
from pins.managers import manager
from pins.models import BOARDS, Comment, Person, Pin
from pins.pages import hidden_from, lines, pins_for, standing
from stream_framework import activity_streams
from stream_framework.contrib.django import enrich
from stream_framework.contrib.django.pagination import FeedPage, FeedPaginator

#: How many pins, or groups, a page has.
PINS, GROUPS = 12, 15
#: What the activity page can be filtered by: ``?show=loves``.
KINDS = {'pins': verbs.Pin, 'loves': verbs.Love, 'comments': verbs.Comment, 'follows': verbs.Follow}
#: What the notifications can be filtered by.
STATES = {'unseen': 'unseen', 'unread': 'unread'}
#: What can be done with a person: the action, and what is said then.
DEEDS = {
    'follow': (actions.follow, 'You follow {name}: what they pinned is in your feed.'),
    'unfollow': (actions.unfollow, 'You no longer follow {name}: what they pinned has left your feed.'),
    'mute': (actions.mute, 'You have muted {name}: what they do is hidden from you. They are not told.'),
    'unmute': (actions.unmute, '{name} is no longer muted.'),
    'block': (actions.block, 'You have blocked {name}: neither of you sees what the other does.'),
    'unblock': (actions.unblock, '{name} is no longer blocked. Neither of you follows the other now.'),
}


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
    context = {'page': page, 'newest': _newest(page)}
    enrich(page, object=pins_for(request.user))
    return render(request, 'pins/home.html', context)


@require_safe
@login_required
def grouped(request: Any) -> Any:
    """The aggregated feed: all that they did, in groups; or of one kind, one by one."""
    feeds, shown = manager.get_feeds(request.user.pk), request.GET.get('show', '')
    feed = feeds['actions'].filter(verb=_one_of(KINDS, shown)) if shown else feeds['grouped']
    page = FeedPaginator(feed, GROUPS).page_for(request)
    context = {'page': page, 'newest': _newest(page), 'lines': lines(page), 'kinds': KINDS, 'shown': shown}
    return render(request, 'pins/grouped.html', context)


@require_POST
@login_required
def mark_seen(request: Any, name: str) -> Any:
    """Remember how far a feed was seen: up to the newest entry that the page showed, not what came since."""
    feed = manager.get_feeds(request.user.pk)[_one_of({'home': 'home', 'activity': 'grouped'}, name)]
    try:
        seen = feed.filter(activity_id__lte=request.POST.get('until', ''))[:1]
    except ValueError:
        return HttpResponseBadRequest('until is no id of an entry', content_type='text/plain')
    if seen:
        feed.mark_seen(until=seen[0])
    if _is_script(request):
        return HttpResponse(status=204)
    return redirect('grouped' if name == 'activity' else 'home')


@require_safe
@login_required
def notifications(request: Any) -> Any:
    """What others did to oneself. Looking marks nothing: browsers fetch pages ahead, and again."""
    feed, shown = manager.get_feeds(request.user.pk)['notifications'], request.GET.get('show', '')
    page = FeedPaginator(feed.filter(**{_one_of(STATES, shown): True}) if shown else feed, GROUPS).page_for(request)
    context = {'page': page, 'lines': lines(page), 'unread_count': feed.count_unread(), 'states': STATES}
    return render(request, 'pins/notifications.html', {**context, 'shown': shown})


@require_POST
@login_required
def open_notification(request: Any, group_id: int) -> Any:
    """Mark a notification as seen and read, and go where it leads.

    Its id changes when something joins it; one that has changed since the page was made is not marked, for its reader
    has not seen what came. So it stays unread.
    """
    feed = manager.get_feeds(request.user.pk)['notifications']
    feed.mark_activity(group_id, seen=True, read=True)
    found = lines(feed.filter(activity_id__gte=group_id, activity_id__lte=group_id)[:1])
    return redirect(found[0].url if found else 'notifications')


@require_POST
@login_required
def remove_notification(request: Any, group_id: int) -> Any:
    """Delete a notification, with its marks. The id of a group is a str; an int would be the id of an activity."""
    manager.get_feeds(request.user.pk)['notifications'].remove(str(group_id))
    messages.success(request, 'The notification is deleted.')
    return redirect(_next(request, 'notifications'))


@require_POST
@login_required
def mark_all(request: Any) -> Any:
    """Mark all notifications: as seen, which empties the badge, or as read, too."""
    manager.get_feeds(request.user.pk)['notifications'].mark_all(seen=True, read='read' in request.POST)
    return redirect(_next(request, 'notifications'))


@require_safe
@login_required
def people(request: Any) -> Any:
    """Everybody, but those who have blocked one, and what one has to do with them."""
    everybody = list(Person.objects.annotate(pin_count=Count('pins')).order_by('first_name'))
    known = standing(request.user, [person.pk for person in everybody])
    blockers = hidden_from(request.user, [person.pk for person in everybody]) - known['muted'] - known['blocked']
    shown = [person for person in everybody if person.pk not in blockers]
    return render(request, 'pins/people.html', {'people': shown, **known})


@require_safe
@login_required
def profile(request: Any, username: str) -> Any:
    """What one person has pinned. That stands in the database: no feed is needed for it."""
    person = _person(request, username)
    known = standing(request.user, [person.pk])
    is_blocked = person.pk in known['blocked']
    context = {
        'person': person,
        'pins': [] if is_blocked else pins_for(request.user).filter(author=person)[:60],
        'follower_count': manager.count_followers(person.pk),
        'following_count': manager.count_followed(person.pk),
        **known,
    }
    return render(request, 'pins/profile.html', context)


@require_POST
@login_required
def relate(request: Any, username: str, deed: str) -> Any:
    """Follow or unfollow somebody, mute or unmute, block or unblock: one of :data:`DEEDS`."""
    person = _person(request, username)
    act, said = DEEDS[deed]
    try:
        act(request.user, person)
    except ValidationError as error:
        return HttpResponseBadRequest(error.message, content_type='text/plain')
    messages.success(request, said.format(name=person.name))
    return redirect(_next(request, person))


@require_safe
@login_required
def account(request: Any) -> Any:
    """Whom one has muted and blocked, and what can be done with one's account."""
    return _show_account(request)


@require_safe
@login_required
def download(request: Any) -> Any:
    """All that one did, as an Activity Streams 2.0 collection. It is sent while it is read, however much that is."""
    response = StreamingHttpResponse(_as2_collection(request.user), content_type='application/activity+json')
    response['Content-Disposition'] = f'attachment; filename="pinboard-{request.user.pk}.json"'
    return response


@require_POST
@login_required
def delete_account(request: Any) -> Any:
    """Delete one's account, and all that one did."""
    if 'sure' not in request.POST:
        return _show_account(request, 'Tick the box if you are sure.', status=400)
    person = request.user
    actions.erase(Person.objects.get(pk=person.pk))
    logout(request)
    messages.success(request, 'Your account is gone, and so is all that you did.')
    return redirect('welcome')


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
    pinned = _pin(request, pin_id)
    actions.love(request.user, pinned)
    return _loved(request, pinned, True)


@require_POST
@login_required
def unlove(request: Any, pin_id: int) -> Any:
    """Love it no longer."""
    pinned = _pin(request, pin_id)
    actions.unlove(request.user, pinned)
    return _loved(request, pinned, False)


@require_POST
@login_required
def comment(request: Any, pin_id: int) -> Any:
    """Say something about a pin."""
    pinned = _pin(request, pin_id)
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


def _person(request: Any, username: str) -> Person:
    """Find somebody; who has blocked the visitor is not there for him."""
    person: Person = get_object_or_404(Person, username=username)
    if request.user.pk in manager.get_blocked(person.pk):
        raise Http404(f'{username} is not there for {request.user}')
    return person


def _pin(request: Any, pin_id: int) -> Pin:
    """Find a pin; where there is a block between its author and the visitor, it is not there for him."""
    pinned: Pin = get_object_or_404(pins_for(request.user), pk=pin_id)
    if manager.is_blocked(request.user.pk, pinned.author_id):
        raise Http404(f'pin {pin_id} is not there for {request.user}')
    return pinned


def _show_pin(request: Any, pin_id: int, form: CommentForm, status: int = 200) -> Any:
    shown = _pin(request, pin_id)
    comments = list(Comment.objects.filter(pin_id=pin_id).select_related('person'))
    hidden = hidden_from(request.user, {comment.person_id for comment in comments})
    context = {
        'pin': shown,
        'others': pins_for(request.user).filter(author=shown.author_id).exclude(pk=pin_id)[:4],
        'comments': [comment for comment in comments if comment.person_id not in hidden],
        'form': form,
        **standing(request.user, [shown.author_id]),
    }
    return render(request, 'pins/pin.html', context, status=status)


def _show_account(request: Any, error: str = '', status: int = 200) -> Any:
    muted, blocked = manager.get_muted(request.user.pk), manager.get_blocked(request.user.pk)
    rows = Person.objects.in_bulk(muted | blocked)
    context = {
        'muted_people': [rows[pk] for pk in sorted(muted) if pk in rows],
        'blocked_people': [rows[pk] for pk in sorted(blocked) if pk in rows],
        'error': error,
    }
    return render(request, 'pins/account.html', context, status=status)


def _as2_collection(person: Person) -> Iterator[str]:
    yield f'{{"@context": "{activity_streams.CONTEXT}", "type": "OrderedCollection", "orderedItems": ['
    separator = ''
    for said in manager.export_user(person.pk):
        yield f'{separator}\n{json.dumps(said)}'
        separator = ','
    yield '\n]}\n'


def _loved(request: Any, pinned: Pin, loved: bool) -> Any:
    if _is_script(request):
        # It stays on the page. Without a script, the button is a form like any other.
        return JsonResponse({'loved': loved, 'count': pinned.loves.count()})
    return redirect(_next(request, pinned))


def _is_script(request: Any) -> bool:
    return bool(request.headers.get('Accept') == 'application/json')


def _newest(page: FeedPage[Any]) -> str:
    """Return the id of what is on top, before anything is left out."""
    return str(page[0].serialization_id) if page else ''


def _one_of(known: dict[str, Any], name: str) -> Any:
    if name not in known:
        raise Http404(f'{name!r} is none of {", ".join(known)}')
    return known[name]


def _next(request: Any, otherwise: Any) -> Any:
    """Where a form says to go on, if that is on this site."""
    url = request.POST.get('next', '')
    safe = url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return url if safe else otherwise
