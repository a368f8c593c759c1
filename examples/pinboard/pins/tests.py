"""Every page, and every button, with what people may send that is wrong: ``python manage.py test``.

Fan-outs run at once, in the process of the tests. Feeds are where ``PINBOARD_BACKEND`` says; in memory is fastest.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from django.templatetags.static import static
from django.test import Client, TestCase
from django.urls import reverse
from django.utils import timezone
from project.celery import app

from pins import actions, pictures, world
from pins.feeds import FEEDS
from pins.management.commands.seed import seed
from pins.managers import follows, manager
from pins.models import BOARDS, Comment, Love, Person, Pin
from pins.verbs import Follow

END = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)

PAGES = ['home', 'grouped', 'notifications', 'people', 'new-pin', 'account', 'download']


def setUpModule() -> None:
    """Run tasks at once, on Redis as well."""
    app.conf.task_always_eager = True


def empty() -> None:
    """Forget what the library keeps."""
    for feed_class in FEEDS:
        feed_class.flush()
    follows.flush()


class Case(TestCase):
    """Three people: anna and ben follow chiara, ben follows anna."""

    def setUp(self) -> None:
        """Begin with empty feeds and no follows: no transaction rolls those back."""
        empty()
        self.anna, self.ben, self.chiara = (
            Person.objects.create_user(name, first_name=name.capitalize()) for name in ('anna', 'ben', 'chiara')
        )
        actions.follow(self.anna, self.chiara)
        actions.follow(self.ben, self.chiara)
        actions.follow(self.ben, self.anna)
        self.client.force_login(self.anna)

    def as_(self, person: Person) -> Client:
        """Another browser."""
        client = Client()
        client.force_login(person)
        return client

    def pin(self, author: Person, title: str = 'Steam', minutes: float = 0) -> Pin:
        """Something pinned so many minutes ago."""
        return actions.pin(author, title, 'tea', created_at=timezone.now() - datetime.timedelta(minutes=minutes))

    def post(self, name: str, *args: Any, client: Client | None = None, **data: Any) -> Any:
        """Press a button."""
        return (client or self.client).post(reverse(name, args=args), data)

    def titles(self, client: Client | None = None, url: str = '/home/') -> list[str]:
        """What is in the feed."""
        context = (client or self.client).get(url).context
        pins = context['pins'] if 'pins' in context else [activity.object for activity in context['page']]
        return [pin.title for pin in pins]

    def unseen(self, person: Person) -> Any:
        """The badge."""
        return self.as_(person).get('/home/').context['unseen_count']


class TestAccounts(Case):
    """Signing in and out."""

    def test_sign_in_and_out(self) -> None:
        """A click is enough; the page that was asked for comes next."""
        client = Client()
        response = client.get('/activity/')
        self.assertRedirects(response, '/?next=/activity/')
        self.assertContains(client.get(response.url), 'value="/activity/"', count=3)
        self.assertRedirects(self.post('sign-in', 'ben', client=client, next='/activity/'), '/activity/')
        self.assertRedirects(client.get('/'), '/home/')
        self.assertRedirects(self.post('sign-out', client=client), '/')
        self.assertEqual(client.get('/home/').status_code, 302)

    def test_nobody_of_that_name(self) -> None:
        """Not found."""
        self.assertEqual(self.post('sign-in', 'nobody').status_code, 404)

    def test_other_sites_are_not_redirected_to(self) -> None:
        """Nor is a script run."""
        for url in ('https://example.com/', '//example.com', 'javascript:alert(1)', ''):
            self.assertRedirects(self.post('sign-in', 'ben', client=Client(), next=url), '/home/')

    def test_signed_out(self) -> None:
        """Pages and buttons lead to the accounts, and nothing happens."""
        pinned = self.pin(self.chiara)
        client = Client()
        for name in PAGES:
            self.assertRedirects(client.get(reverse(name)), f'/?next={reverse(name)}')
        for name, args in BUTTONS.items():
            response = self.post(name, *self.filled(args, pinned), client=client, text='x', title='x', board='tea')
            self.assertEqual(response.status_code, 302, name)
            self.assertTrue(response.url.startswith('/?next='), name)
        self.assertEqual((Love.objects.count(), Comment.objects.count(), Pin.objects.count()), (0, 0, 1))
        self.assertEqual(manager.count_followed(self.ben.pk), 2)

    def test_buttons_are_posts_with_a_token(self) -> None:
        """A link, or a form of another site, changes nothing."""
        pinned = self.pin(self.chiara)
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(self.anna)
        for name, args in {**BUTTONS, 'sign-in': ('ben',), 'sign-out': ()}.items():
            url = reverse(name, args=self.filled(args, pinned))
            if name != 'new-pin':
                self.assertEqual(self.client.get(url).status_code, 405, name)
            self.assertEqual(strict.post(url, {'title': 'x', 'board': 'tea', 'text': 'x'}).status_code, 403, name)
        self.assertEqual((Love.objects.count(), Comment.objects.count(), Pin.objects.count()), (0, 0, 1))

    def filled(self, args: Any, pinned: Pin) -> list[Any]:
        """Arguments of an address."""
        return [pinned.pk if arg == 'PIN' else arg for arg in args]


BUTTONS: dict[str, tuple[Any, ...]] = {
    'new-pin': (),
    'love': ('PIN',),
    'unlove': ('PIN',),
    'comment': ('PIN',),
    'remove-pin': ('PIN',),
    'follow': ('ben',),
    'unfollow': ('chiara',),
    'mark-all': (),
    'open-notification': (12345,),
    'remove-notification': (12345,),
    'mark-seen': ('home',),
    'mute': ('ben',),
    'unmute': ('ben',),
    'block': ('ben',),
    'unblock': ('ben',),
    'delete-account': (),
}


class TestPages(Case):
    """Reading."""

    def test_without_anything(self) -> None:
        """Somebody new has empty pages."""
        dora = self.as_(Person.objects.create_user('dora'))
        for name in PAGES:
            self.assertEqual(dora.get(reverse(name)).status_code, 200, name)
        self.assertContains(dora.get('/home/'), 'Follow somebody')
        self.assertContains(dora.get('/people/dora/'), 'No pins yet')

    def test_scrolling(self) -> None:
        """Every pin once, though new ones come in."""
        for number in range(30):
            self.pin(self.chiara, f'Pin {number}', minutes=100 - number)
        url, seen = '/home/', []
        while url:
            response = self.client.get(url)
            seen += [activity.object.title for activity in response.context['page']]
            url = response.context['page'].next_url
            self.pin(self.chiara, 'New')
        self.assertEqual(seen, [f'Pin {number}' for number in reversed(range(30))])
        self.assertContains(response, 'rel="prev"')

    def test_bad_cursors(self) -> None:
        """Not found, on every page that has some."""
        for name in ('home', 'grouped', 'notifications'):
            for cursor in ('x', '1.5', 'prev-', "1'--", '9' * 400):
                response = self.client.get(reverse(name), {'cursor': cursor})
                self.assertEqual(response.status_code, 404, (name, cursor))
            self.assertEqual(self.client.get(reverse(name), {'cursor': '5'}).status_code, 200)

    def test_unknown(self) -> None:
        """Not found."""
        for url in ('/pins/999/', '/people/nobody/', '/art/attic/1.svg', '/pins/x/', f'/pins/{10**30}/'):
            self.assertEqual(self.client.get(url).status_code, 404, url)
        for name, args in {
            'love': (999,),
            'unlove': (999,),
            'comment': (999,),
            'remove-pin': (999,),
            'follow': ('nobody',),
            'unfollow': ('nobody',),
            'mute': ('nobody',),
            'block': ('nobody',),
            'mark-seen': ('nowhere',),
        }.items():
            self.assertEqual(self.post(name, *args).status_code, 404, name)

    def test_pictures(self) -> None:
        """Every board has some, always the same."""
        for board in BOARDS:
            response = self.client.get(reverse('art', args=[board, 5]))
            self.assertEqual(response['Content-Type'], 'image/svg+xml')
            self.assertEqual(response.content.decode(), pictures.draw(board, 5))

    def test_the_icon(self) -> None:
        """Where browsers look for it on a page that names none, as Django's page for a 404 does."""
        response = self.client.get('/favicon.ico')
        self.assertRedirects(response, static('pins/icon.svg'), fetch_redirect_response=False)

    def test_queries(self) -> None:
        """One for each model that a page names, whatever is on it; besides, the session and its user."""
        actions.follow(self.chiara, self.ben)
        self.pin(self.chiara)
        expected = {'/home/': 3, '/activity/': 4, '/notifications/': 3, '/activity/?show=pins': 4}
        for url, count in expected.items():
            with self.assertNumQueries(count):
                self.client.get(url)
        for number in range(10):
            pinned = self.pin(self.chiara, f'{number}')
            actions.love(self.ben, pinned)
            actions.comment(self.ben, self.pin(self.anna, f'of anna, {number}'), 'Lovely')
        for url, count in {**expected, '/notifications/': 4, '/people/': 3, '/people/chiara/': 4}.items():
            with self.assertNumQueries(count):
                self.client.get(url)

    def test_markup_is_escaped(self) -> None:
        """Titles, notes, comments."""
        pinned = actions.pin(self.chiara, '<script>1</script>', 'tea', '<script>2</script>')
        actions.comment(self.chiara, pinned, '<script>3</script>')
        for url in ('/home/', '/activity/', f'/pins/{pinned.pk}/', '/people/chiara/'):
            self.assertNotContains(self.client.get(url), '<script>1')
            self.assertNotContains(self.client.get(url), '<script>2')
            self.assertNotContains(self.client.get(url), '<script>3')


class TestPinning(Case):
    """New pins, and pins that go."""

    def test_a_pin_reaches_the_followers(self) -> None:
        """And nobody else."""
        response = self.post('new-pin', title='Paper boats', board='sea', note='Folded on the ferry.')
        self.assertRedirects(response, Pin.objects.get().get_absolute_url())
        self.assertEqual(self.titles(self.as_(self.ben)), ['Paper boats'])
        self.assertEqual(self.titles(self.as_(self.chiara)), [])
        self.assertEqual(self.titles(url='/people/anna/'), ['Paper boats'])

    def test_invalid_forms(self) -> None:
        """The form comes back with what is wrong, and nothing is pinned."""
        for data in (
            {},
            {'title': 'x'},
            {'board': 'tea'},
            {'title': '  ', 'board': 'tea'},
            {'title': 'x', 'board': 'attic'},
            {'title': 'x' * 81, 'board': 'tea'},
            {'title': 'x', 'board': 'tea', 'note': 'x' * 281},
            {'title': 'x\x00', 'board': 'tea'},
        ):
            response = self.post('new-pin', **data)
            self.assertContains(response, 'errorlist', status_code=400)
        self.assertEqual(Pin.objects.count(), 0)

    def test_removing(self) -> None:
        """It leaves all feeds, with what others did to it."""
        pinned = self.pin(self.anna)
        actions.love(self.chiara, pinned)
        actions.comment(self.ben, pinned, 'Lovely')
        self.assertEqual(self.unseen(self.anna), 3, 'love, comment, and that ben follows her')
        self.assertRedirects(self.post('remove-pin', pinned.pk), '/people/anna/')
        self.assertEqual(self.titles(self.as_(self.ben)), [])
        left = self.as_(self.ben).get('/activity/').context['lines']
        self.assertEqual([line.verb for line in left], [Follow], 'that Anna follows Chiara')
        self.assertEqual(self.unseen(self.anna), 1)

    def test_others_pins_can_not_be_removed(self) -> None:
        """As if they were not there."""
        pinned = self.pin(self.chiara)
        self.assertEqual(self.post('remove-pin', pinned.pk).status_code, 404)
        self.assertTrue(Pin.objects.filter(pk=pinned.pk).exists())


class TestLovesAndComments(Case):
    """What is done to pins."""

    def test_love(self) -> None:
        """The author is told, followers see it, and love can be taken back."""
        pinned = self.pin(self.chiara)
        self.assertRedirects(self.post('love', pinned.pk, next='/home/'), '/home/')
        self.post('love', pinned.pk)
        self.assertEqual(Love.objects.count(), 1)
        self.assertEqual(self.unseen(self.chiara), 2, 'a love, and two followers, who are one group')
        love = self.as_(self.ben).get('/activity/').context['lines'][0]
        self.assertEqual((love.verb.past_tense, [person.name for person in love.people]), ('loved', ['Anna']))
        self.assertTrue(self.client.get('/home/').context['page'][0].object.loved)
        self.assertEqual(self.titles(self.as_(self.ben)), ['Steam'], 'a love is no pin')
        self.post('unlove', pinned.pk)
        self.post('unlove', pinned.pk)
        self.assertEqual((Love.objects.count(), self.unseen(self.chiara)), (0, 1))
        left = self.as_(self.ben).get('/activity/').context['lines']
        self.assertEqual([line.verb.past_tense for line in left], ['pinned', 'followed'])

    def test_the_script_gets_json(self) -> None:
        """So that the page need not be loaded again."""
        pinned = self.pin(self.chiara)
        for name, loved in (('love', True), ('love', True), ('unlove', False)):
            response = self.client.post(reverse(name, args=[pinned.pk]), headers={'Accept': 'application/json'})
            self.assertEqual(response.json(), {'loved': loved, 'count': int(loved)})

    def test_comment(self) -> None:
        """What was said is in the feed, too."""
        pinned = self.pin(self.chiara)
        self.assertRedirects(self.post('comment', pinned.pk, text='Lovely; really, "lovely"'), f'/pins/{pinned.pk}/')
        self.assertContains(self.client.get(f'/pins/{pinned.pk}/'), 'Lovely; really,')
        self.assertEqual(self.as_(self.ben).get('/activity/').context['lines'][0].text, 'Lovely; really, "lovely"')
        self.assertEqual(self.as_(self.chiara).get('/notifications/').context['lines'][0].text[:6], 'Lovely')

    def test_bad_comments(self) -> None:
        """The page comes back with what is wrong."""
        pinned = self.pin(self.chiara)
        for text in ('', '   ', 'x' * 281):
            self.assertContains(self.post('comment', pinned.pk, text=text), 'errorlist', status_code=400)
        self.assertEqual(Comment.objects.count(), 0)

    def test_nobody_is_told_of_what_they_did_themselves(self) -> None:
        """The badge is for what others do."""
        pinned = self.pin(self.chiara)
        before = self.unseen(self.chiara)
        actions.love(self.chiara, pinned)
        actions.comment(self.chiara, pinned, 'Mine')
        self.assertEqual(self.unseen(self.chiara), before)

    def test_many_in_one_line(self) -> None:
        """Named are the last two."""
        pinned = self.pin(self.chiara)
        for number in range(5):
            fan = Person.objects.create_user(f'fan{number}', first_name=f'Fan {number}')
            actions.love(fan, pinned)
        self.assertContains(self.as_(self.chiara).get('/notifications/'), 'and 3 others')


class TestFollowing(Case):
    """Who follows whom."""

    def test_follow_and_unfollow(self) -> None:
        """What was pinned before comes, and goes."""
        self.pin(self.ben, 'Rooftops')
        self.assertEqual(self.titles(), [])
        self.assertRedirects(self.post('follow', 'ben', next='/people/'), '/people/')
        self.post('follow', 'ben')
        self.assertEqual(self.titles(), ['Rooftops'])
        self.assertEqual(self.unseen(self.ben), 1)
        self.pin(self.ben, 'Windows')
        self.assertEqual(self.titles(), ['Windows', 'Rooftops'])
        self.assertRedirects(self.post('unfollow', 'ben'), '/people/ben/')
        self.post('unfollow', 'ben')
        self.assertEqual((self.titles(), self.unseen(self.ben)), ([], 0))
        self.pin(self.ben, 'Cranes')
        self.assertEqual(self.titles(), [])

    def test_oneself(self) -> None:
        """Refused; and there is no button for it."""
        self.assertContains(self.post('follow', 'anna'), 'can not follow yourself', status_code=400)
        self.assertEqual(manager.is_following(self.anna.pk, [self.anna.pk]), set())
        self.assertNotContains(self.client.get('/people/anna/'), reverse('follow', args=['anna']))


class TestHiding(Case):
    """Mutes and blocks."""

    def setUp(self) -> None:
        """Chiara and Ben have pinned something; Ben has loved what Anna pinned, and said so."""
        super().setUp()
        actions.follow(self.anna, self.ben)
        self.of_chiara, self.of_ben = self.pin(self.chiara, 'Steam', 5), self.pin(self.ben, 'Rooftops', 4)
        self.of_anna = self.pin(self.anna, 'Paper boats', 3)
        actions.love(self.ben, self.of_anna)
        actions.comment(self.ben, self.of_chiara, 'I was here')

    def test_mute(self) -> None:
        """What they did leaves feeds, notifications and comments; the follow stays, and all comes back."""
        before = self.titles(), len(self.client.get('/activity/').context['lines'])
        self.assertEqual(before[0], ['Rooftops', 'Steam'])
        self.assertEqual(self.unseen(self.anna), 2, 'Ben follows her, and loves what she pinned')
        self.assertRedirects(self.post('mute', 'ben'), '/people/ben/')
        self.assertEqual((self.titles(), self.unseen(self.anna)), (['Steam'], 0))
        actions.love(self.ben, self.of_chiara)
        self.assertNotContains(self.client.get('/activity/'), '/people/ben/')
        self.assertNotContains(self.client.get(f'/pins/{self.of_chiara.pk}/'), 'I was here')
        self.assertContains(self.as_(self.chiara).get(f'/pins/{self.of_chiara.pk}/'), 'I was here')
        self.assertContains(self.client.get('/people/ben/'), 'You have muted Ben')
        self.assertContains(self.client.get('/people/'), 'class="state">muted<')
        self.assertEqual(self.client.get('/account/').context['muted_people'], [self.ben])
        self.assertEqual(manager.is_following(self.anna.pk, [self.ben.pk]), {self.ben.pk})
        self.assertRedirects(self.post('unmute', 'ben', next='/account/'), '/account/')
        self.assertEqual(self.titles(), ['Rooftops', 'Steam'])
        self.assertEqual(self.client.get('/account/').context['muted_people'], [])
        # Those of Chiara and of Ben, and one more of his.
        self.assertEqual(len(self.client.get('/activity/').context['lines']), before[1] + 1)

    def test_block(self) -> None:
        """The follows end, and neither finds the other, until it ends."""
        self.assertRedirects(self.post('block', 'ben'), '/people/ben/')
        ben = self.as_(self.ben)
        self.assertEqual((self.titles(), self.titles(ben)), (['Steam'], ['Steam']))
        self.assertEqual(self.unseen(self.anna), 0)
        self.assertEqual(manager.get_user_feed(self.ben.pk).filter(verb=Follow)[:], self.followed_by_ben())
        response = self.client.get('/people/ben/')
        self.assertContains(response, 'You have blocked Ben')
        self.assertNotContains(response, 'Rooftops')
        self.assertContains(self.client.get('/people/'), 'class="state">blocked<')
        self.assertEqual(self.client.get('/account/').context['blocked_people'], [self.ben])
        self.assertEqual(self.post('follow', 'ben').status_code, 400)
        self.assertEqual(ben.get('/people/anna/').status_code, 404)
        self.assertNotContains(ben.get('/people/'), 'person-anna')
        for name in ('follow', 'mute', 'block', 'unblock'):
            self.assertEqual(self.post(name, 'anna', client=ben).status_code, 404, name)
        for client, pinned in ((ben, self.of_anna), (self.client, self.of_ben)):
            self.assertEqual(client.get(pinned.get_absolute_url()).status_code, 404)
            for name in ('love', 'unlove', 'comment'):
                self.assertEqual(self.post(name, pinned.pk, client=client, text='x').status_code, 404, name)
        self.assertEqual(self.unseen(self.anna), 0)
        self.post('unblock', 'ben')
        self.assertEqual(self.titles(), ['Steam'], 'the follow that it ended stays ended')
        self.post('follow', 'ben')
        self.assertEqual(self.titles(), ['Rooftops', 'Steam'])

    def followed_by_ben(self) -> list[Any]:
        """What is in his own feed: that he follows Chiara, and no longer that he follows Anna."""
        found = [each for each in manager.get_user_feed(self.ben.pk)[:] if each.verb is Follow]
        self.assertEqual([each.object_id for each in found], [self.chiara.pk])
        return found

    def test_oneself(self) -> None:
        """Refused; and there is no button for it."""
        for name in ('mute', 'block'):
            self.assertContains(self.post(name, 'anna'), f'can not {name} yourself', status_code=400)
            self.assertNotContains(self.client.get('/people/anna/'), reverse(name, args=['anna']))


class TestNews(Case):
    """What is new since the last visit, and the activity page by kind."""

    def new(self, name: str = 'home') -> Any:
        """What the page says."""
        return self.client.get('/home/').context['new_counts'][name]

    def test_new_since_the_last_visit(self) -> None:
        """Looking marks nothing; the button does, as far as the page showed."""
        for number in range(3):
            self.pin(self.chiara, f'{number}', minutes=10 - number)
        for _ in range(2):
            response = self.client.get('/home/')
            self.assertContains(response, '<b id="new-count">3</b> new since your last visit')
        self.pin(self.chiara, 'meanwhile')
        self.assertRedirects(self.post('mark-seen', 'home', until=response.context['newest']), '/home/')
        # One group, two around midnight.
        groups = self.new('grouped')
        self.assertEqual(self.new(), 1)
        self.assertGreater(groups, 0)
        self.assertContains(self.client.get('/home/'), '<b id="new-count">1</b> new')
        response = self.client.post(
            reverse('mark-seen', args=['home']),
            {'until': self.client.get('/home/').context['newest']},
            headers={'Accept': 'application/json'},
        )
        self.assertEqual(response.status_code, 204)
        self.assertNotContains(self.client.get('/home/'), 'since your last visit')
        self.assertEqual(self.new('grouped'), groups, 'each feed has its own mark')

    def test_a_group_that_grows_is_new_again(self) -> None:
        """On the activity page."""
        pinned = self.pin(self.chiara, minutes=5)
        self.post('mark-seen', 'activity', until=self.client.get('/activity/').context['newest'])
        self.assertEqual(self.new('grouped'), 0)
        actions.love(self.chiara, pinned)
        self.assertContains(self.client.get('/activity/'), '<b id="new-count">1</b> new')

    def test_what_is_no_id(self) -> None:
        """Is refused; an id that is far off marks no more than there is."""
        self.pin(self.chiara)
        for until in ('', 'x', '1.5'):
            self.assertEqual(self.post('mark-seen', 'home', until=until).status_code, 400, until)
        self.post('mark-seen', 'home', until='1')
        self.assertEqual(self.new(), 1)
        self.post('mark-seen', 'home', until='9' * 30)
        self.assertEqual(self.new(), 0)
        self.pin(self.chiara)
        self.assertEqual(self.new(), 1)

    def test_by_kind(self) -> None:
        """Pins, loves, comments, follows: one by one, page by page; what is none of these is not found."""
        for number in range(20):
            actions.love(self.chiara, self.pin(self.ben, f'Pin {number}', minutes=50 - number))
        actions.comment(self.chiara, self.pin(self.chiara, 'Mine'), 'So there')
        actions.follow(self.chiara, self.ben)
        expected = {
            'pins': ['pinned Mine'],
            'loves': [f'loved Pin {number}' for number in reversed(range(20))],
            'comments': ['commented Mine'],
            'follows': ['followed ben'],
        }
        for kind, wanted in expected.items():
            url, found = f'/activity/?show={kind}', []
            while url:
                context = self.client.get(url).context
                found += [f'{line.verb.past_tense} {line.things[0]}' for line in context['lines']]
                url = context['page'].next_url
            self.assertEqual(found, wanted)
        for url in ('/activity/', '/activity/?show=follows'):
            self.assertContains(self.client.get(url), 'followed\n        <a href="/people/ben/">Ben</a>')
        self.assertEqual(self.client.get('/activity/?show=everything').status_code, 404)


class TestAccount(Case):
    """One's data: taken along, and deleted."""

    def test_download(self) -> None:
        """A streamed file of Activity Streams 2.0, newest first."""
        pinned = self.pin(self.anna)
        actions.comment(self.anna, pinned, 'Really, "mine"')
        response = self.client.get('/account/download/')
        self.assertTrue(response.streaming)
        self.assertIn('attachment', response['Content-Disposition'])
        said = json.loads(b''.join(response.streaming_content))
        self.assertEqual(said['type'], 'OrderedCollection')
        self.assertEqual([item['type'] for item in said['orderedItems']], ['Create', 'Activity', 'Follow'])
        self.assertEqual(said['orderedItems'][0]['extra_context'], {'text': 'Really, "mine"'})
        of_ben = b''.join(self.as_(self.ben).get('/account/download/').streaming_content)
        self.assertEqual(len(json.loads(of_ben)['orderedItems']), 2, 'whom he follows')

    def test_deleting(self) -> None:
        """It is asked for twice; then all that she did is gone, and nobody else has lost anything."""
        pinned, hers = self.pin(self.chiara), self.pin(self.anna, 'Hers')
        actions.love(self.anna, pinned)
        actions.comment(self.anna, pinned, 'Anna was here')
        actions.love(self.ben, hers)
        actions.love(self.ben, pinned)
        self.assertContains(self.post('delete-account'), 'Tick the box', status_code=400)
        self.assertTrue(Person.objects.filter(username='anna').exists())
        anna = self.anna.pk
        self.assertRedirects(self.post('delete-account', sure='on'), '/', fetch_redirect_response=False)
        self.assertContains(self.client.get('/'), 'Your account is gone')
        self.assertFalse(Person.objects.filter(username='anna').exists())
        ben, chiara = self.as_(self.ben), self.as_(self.chiara)
        self.assertEqual(self.titles(ben), ['Steam'])
        self.assertNotContains(ben.get('/activity/'), '/people/anna/')
        self.assertNotContains(chiara.get(pinned.get_absolute_url()), 'Anna was here')
        self.assertEqual([line.people for line in chiara.get('/notifications/').context['lines']], [[self.ben]] * 2)
        self.assertEqual(list(follows.iter_followers(self.chiara.pk)), [self.ben.pk])
        self.assertEqual(manager.count_followed(self.ben.pk), 1)
        self.assertEqual([feed.count() for feed in manager.get_feeds(anna).values()], [0] * 4)
        self.assertEqual(list(manager.export_user(anna)), [])
        said = [item['object'] for item in manager.export_user(self.ben.pk)]
        self.assertEqual(len(said), 2, 'that he loved the pin, and follows Chiara')
        self.assertEqual(self.client.get('/home/').status_code, 302)


class TestNotifications(Case):
    """The badge."""

    def setUp(self) -> None:
        """Chiara has three: two followers, and two loves."""
        super().setUp()
        for title in ('Steam', 'First flush'):
            actions.love(self.anna, self.pin(self.chiara, title))
        self.chiaras = self.as_(self.chiara)

    def lines(self) -> list[Any]:
        """What is on her page."""
        lines: list[Any] = self.chiaras.get('/notifications/').context['lines']
        return lines

    def test_opening_one(self) -> None:
        """It is seen and read, and its pin is shown."""
        self.assertContains(self.chiaras.get('/home/'), 'id="badge" aria-label="3 unseen">3<')
        line = self.lines()[0]
        response = self.post('open-notification', line.id, client=self.chiaras)
        self.assertRedirects(response, line.url)
        self.assertContains(self.chiaras.get('/home/'), 'id="badge" aria-label="2 unseen">2<')
        self.assertEqual([line.item.is_read for line in self.lines()], [True, False, False])

    def test_looking_marks_nothing(self) -> None:
        """Neither does following somebody's link."""
        self.lines()
        self.assertEqual(self.unseen(self.chiara), 3)

    def test_marking_all(self) -> None:
        """As seen, and as read."""
        self.assertRedirects(self.post('mark-all', client=self.chiaras, seen=''), '/notifications/')
        self.assertEqual(self.unseen(self.chiara), 0)
        self.assertEqual({(line.item.is_seen, line.item.is_read) for line in self.lines()}, {(True, False)})
        self.post('mark-all', client=self.chiaras, read='')
        self.assertEqual({(line.item.is_seen, line.item.is_read) for line in self.lines()}, {(True, True)})
        self.assertNotContains(self.chiaras.get('/home/'), 'id="badge"')

    def test_one_that_is_not_there(self) -> None:
        """Nothing is marked; unknown ids lead to the page."""
        for group_id in (0, 5, 10**25, 10**200):
            response = self.post('open-notification', group_id, client=self.chiaras)
            self.assertRedirects(response, '/notifications/')
        self.assertEqual(self.unseen(self.chiara), 3)

    def test_of_somebody_else(self) -> None:
        """One's own notifications are all that one can mark."""
        self.post('open-notification', self.lines()[0].id)
        self.assertEqual(self.unseen(self.chiara), 3)

    def test_deleting_one(self) -> None:
        """It goes, with its marks; the others stay. Doing it again changes nothing."""
        first, *others = [line.id for line in self.lines()]
        for _ in range(2):
            response = self.post('remove-notification', first, client=self.chiaras, next='/notifications/?show=unread')
            self.assertRedirects(response, '/notifications/?show=unread')
            self.assertEqual([line.id for line in self.lines()], others)
            self.assertEqual(self.unseen(self.chiara), 2)

    def test_deleting_one_of_somebody_else(self) -> None:
        """One's own notifications are all that one can delete."""
        self.post('remove-notification', self.lines()[0].id)
        self.assertEqual(len(self.lines()), 3)

    def test_filters(self) -> None:
        """By state; what is none is not found."""
        self.post('open-notification', self.lines()[0].id, client=self.chiaras)
        self.chiaras.post(reverse('mark-all'), {'seen': ''})
        shown = {
            name: len(self.chiaras.get('/notifications/', {'show': name}).context['lines'])
            for name in ('', 'unseen', 'unread')
        }
        self.assertEqual(shown, {'': 3, 'unseen': 0, 'unread': 2})
        self.assertEqual(self.chiaras.get('/notifications/?show=lost').status_code, 404)


class TestSeed(TestCase):
    """The made-up people."""

    def test_always_the_same(self) -> None:
        """For a seed and an end."""
        self.assertEqual(list(world.events(END)), list(world.events(END)))
        self.assertNotEqual(list(world.events(END)), list(world.events(END, seed=2)))
        self.assertLess(max(event.time for event in world.events(END)), END)

    def test_everybody_has_something_to_see(self) -> None:
        """Three pages of pins, groups, unseen notifications."""
        empty()
        seed(END, pins_each=8)
        for person in Person.objects.all():
            feeds = manager.get_feeds(person.pk)
            self.assertGreater(feeds['home'].count(), 24)
            self.assertGreater(feeds['grouped'].count(), 15)
            self.assertEqual({manager.count_new(person.pk)[name] for name in ('home', 'grouped')}, {3})
            self.assertEqual(feeds['notifications'].count_unseen(), 4)
