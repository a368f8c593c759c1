// Three comforts; the site works without any of them.
'use strict';

// Endless scroll: when the link to older items comes near, fetch that page and put its items below the ones here.
function scroll() {
  const feed = document.querySelector('[data-feed]');
  const more = document.querySelector('.more');
  if (!feed || !more || !('IntersectionObserver' in window)) return;
  const observer = new IntersectionObserver(
    (entries) => entries.some((entry) => entry.isIntersecting) && load(), { rootMargin: '600px' });
  let loading = false;

  async function load() {
    const link = more.querySelector('[rel=next]');
    if (!link || loading) return;
    loading = true;
    link.textContent = 'Loading…';
    try {
      const response = await fetch(link.href, { credentials: 'same-origin' });
      if (!response.ok) throw new Error(response.statusText);
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      const here = new Set(Array.from(feed.querySelectorAll('[data-item]'), (item) => item.dataset.item));
      for (const item of page.querySelectorAll('[data-feed] > [data-item]')) {
        // A group that shrank meanwhile may have moved down.
        if (!here.has(item.dataset.item)) feed.append(document.adoptNode(item));
      }
      const next = page.querySelector('.more');
      next.querySelector('[rel=prev]')?.remove();
      more.replaceChildren(...next.childNodes);
    } catch (error) {
      // It stays a link, which can be clicked.
      link.textContent = 'Older';
      observer.disconnect();
      return;
    } finally {
      loading = false;
    }
    // Still in view, on a large screen: an observer reports only changes.
    observer.unobserve(more);
    observer.observe(more);
  }

  observer.observe(more);
}

// A heart changes where it is, so that the place in the feed is kept.
async function love(event) {
  const form = event.target.closest('form.love');
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    const response = await fetch(form.action, {
      method: 'POST', body: new FormData(form), headers: { Accept: 'application/json' }, credentials: 'same-origin' });
    if (!response.ok) throw new Error(response.statusText);
    const { loved, count } = await response.json();
    button.setAttribute('aria-pressed', loved);
    form.querySelector('.count').textContent = count;
    form.action = loved ? form.dataset.unlove : form.dataset.love;
  } catch (error) {
    form.submit();
  } finally {
    button.disabled = false;
  }
}

// What was shown counts as seen, so the next visit begins there. It is a form, whose button this presses.
async function seen() {
  const form = document.querySelector('form.news');
  if (!form) return;
  if (document.visibilityState !== 'visible') {
    document.addEventListener('visibilitychange', seen, { once: true });
    return;
  }
  const response = await fetch(form.action, {
    method: 'POST', body: new FormData(form), headers: { Accept: 'application/json' }, credentials: 'same-origin' })
    .catch(() => null);
  // Otherwise the button stays.
  if (response?.ok) form.querySelector('button').remove();
}

document.addEventListener('submit', love);
scroll();
seen();
