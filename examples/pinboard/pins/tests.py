"""Every page, and every button, with what people may send that is wrong: ``python manage.py test``.

Feeds are in memory, and fan-outs run at once: that is how an application with feeds is tested.
"""

from __future__ import annotations

import datetime
from typing import Any

from django.test import Client, TestCase
from django.urls import reverse
from django.utils import timezone

from pins import actions, pictures, world
from pins.feeds import FEEDS
from pins.management.commands.seed import seed
from pins.managers import manager
from pins.models import BOARDS, Comment, Follow, Love, Person, Pin

END = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)

PAGES = ['home', 'grouped', 'notifications', 'people', 'new-pin']


class Case(TestCase):
    """Three people: anna and ben follow chiara, ben follows anna."""

    def setUp(self) -> None:
        """Begin with empty feeds: no transaction rolls those back."""
        for feed_class in FEEDS:
            feed_class.flush()
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
        return [card.title for card in (client or self.client).get(url).context['cards']]

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
        self.assertEqual(Follow.objects.count(), 3)

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
            seen += [card.title for card in response.context['cards']]
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
        }.items():
            self.assertEqual(self.post(name, *args).status_code, 404, name)

    def test_pictures(self) -> None:
        """Every board has some, always the same."""
        for board in BOARDS:
            response = self.client.get(reverse('art', args=[board, 5]))
            self.assertEqual(response['Content-Type'], 'image/svg+xml')
            self.assertEqual(response.content.decode(), pictures.draw(board, 5))

    def test_queries(self) -> None:
        """Their number does not grow with what is on a page."""
        self.pin(self.chiara)
        for url in ('/home/', '/activity/', '/notifications/'):
            with self.assertNumQueries(AtMost(6)):
                self.client.get(url)
        for number in range(10):
            actions.love(self.ben, self.pin(self.chiara, f'{number}'))
        for url in ('/home/', '/activity/', '/notifications/'):
            with self.assertNumQueries(AtMost(6)):
                self.client.get(url)

    def test_markup_is_escaped(self) -> None:
        """Titles, notes, comments."""
        pinned = actions.pin(self.chiara, '<script>1</script>', 'tea', '<script>2</script>')
        actions.comment(self.chiara, pinned, '<script>3</script>')
        for url in ('/home/', '/activity/', f'/pins/{pinned.pk}/', '/people/chiara/'):
            self.assertNotContains(self.client.get(url), '<script>1')
            self.assertNotContains(self.client.get(url), '<script>2')
            self.assertNotContains(self.client.get(url), '<script>3')


class AtMost(int):
    """Equal to whatever is not greater, for ``assertNumQueries``."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other <= int(self)

    __hash__ = int.__hash__


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
        self.assertEqual(len(self.as_(self.ben).get('/activity/').context['page']), 0)
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
        [love, _] = self.as_(self.ben).get('/activity/').context['lines']
        self.assertEqual((love.verb.past_tense, [person.name for person in love.people]), ('loved', ['Anna']))
        self.assertTrue(self.client.get('/home/').context['cards'][0].loved)
        self.assertEqual(self.titles(self.as_(self.ben)), ['Steam'], 'a love is no pin')
        self.post('unlove', pinned.pk)
        self.post('unlove', pinned.pk)
        self.assertEqual((Love.objects.count(), self.unseen(self.chiara)), (0, 1))
        self.assertEqual(len(self.as_(self.ben).get('/activity/').context['lines']), 1)

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
        self.assertFalse(Follow.objects.filter(follower=self.anna, followed=self.anna).exists())
        self.assertNotContains(self.client.get('/people/anna/'), reverse('follow', args=['anna']))


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
        response = self.post('open-notification', line.group.serialization_id, client=self.chiaras)
        self.assertRedirects(response, line.url)
        self.assertContains(self.chiaras.get('/home/'), 'id="badge" aria-label="2 unseen">2<')
        self.assertEqual([line.group.is_read for line in self.lines()], [True, False, False])

    def test_looking_marks_nothing(self) -> None:
        """Neither does following somebody's link."""
        self.lines()
        self.assertEqual(self.unseen(self.chiara), 3)

    def test_marking_all(self) -> None:
        """As seen, and as read."""
        self.assertRedirects(self.post('mark-all', client=self.chiaras, seen=''), '/notifications/')
        self.assertEqual(self.unseen(self.chiara), 0)
        self.assertEqual({(line.group.is_seen, line.group.is_read) for line in self.lines()}, {(True, False)})
        self.post('mark-all', client=self.chiaras, read='')
        self.assertEqual({(line.group.is_seen, line.group.is_read) for line in self.lines()}, {(True, True)})
        self.assertNotContains(self.chiaras.get('/home/'), 'id="badge"')

    def test_one_that_is_not_there(self) -> None:
        """Nothing is marked; unknown ids lead to the page."""
        for group_id in (0, 5, 10**25, 10**200):
            response = self.post('open-notification', group_id, client=self.chiaras)
            self.assertRedirects(response, '/notifications/')
        self.assertEqual(self.unseen(self.chiara), 3)

    def test_of_somebody_else(self) -> None:
        """One's own notifications are all that one can mark."""
        self.post('open-notification', self.lines()[0].group.serialization_id)
        self.assertEqual(self.unseen(self.chiara), 3)


class TestSeed(TestCase):
    """The made-up people."""

    def test_always_the_same(self) -> None:
        """For a seed and an end."""
        self.assertEqual(list(world.events(END)), list(world.events(END)))
        self.assertNotEqual(list(world.events(END)), list(world.events(END, seed=2)))
        self.assertLess(max(event.time for event in world.events(END)), END)

    def test_everybody_has_something_to_see(self) -> None:
        """Three pages of pins, groups, unseen notifications."""
        for feed_class in FEEDS:
            feed_class.flush()
        seed(END, pins_each=8)
        for person in Person.objects.all():
            feeds = manager.get_feeds(person.pk)
            self.assertGreater(feeds['home'].count(), 24)
            self.assertGreater(feeds['grouped'].count(), 15)
            self.assertEqual(manager.get_notifications(person.pk).count_unseen(), 4)
