"""Addresses."""

from __future__ import annotations

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from pins import views

urlpatterns = [
    path('', views.welcome, name='welcome'),
    path('sign-in/<str:username>/', views.sign_in, name='sign-in'),
    path('sign-out/', views.sign_out, name='sign-out'),
    path('home/', views.home, name='home'),
    path('activity/', views.grouped, name='grouped'),
    path('seen/<str:name>/', views.mark_seen, name='mark-seen'),
    path('notifications/', views.notifications, name='notifications'),
    path('notifications/mark-all/', views.mark_all, name='mark-all'),
    path('notifications/<int:group_id>/open/', views.open_notification, name='open-notification'),
    path('notifications/<int:group_id>/remove/', views.remove_notification, name='remove-notification'),
    path('people/', views.people, name='people'),
    path('people/<str:username>/', views.profile, name='profile'),
    *(path(f'people/<str:username>/{deed}/', views.relate, {'deed': deed}, name=deed) for deed in views.DEEDS),
    path('account/', views.account, name='account'),
    path('account/download/', views.download, name='download'),
    path('account/delete/', views.delete_account, name='delete-account'),
    path('pins/new/', views.new_pin, name='new-pin'),
    path('pins/<int:pin_id>/', views.pin, name='pin'),
    path('pins/<int:pin_id>/love/', views.love, name='love'),
    path('pins/<int:pin_id>/unlove/', views.unlove, name='unlove'),
    path('pins/<int:pin_id>/comment/', views.comment, name='comment'),
    path('pins/<int:pin_id>/remove/', views.remove_pin, name='remove-pin'),
    # Browsers look for it here where a page names no icon: on Django's own pages for errors, and on downloads.
    path('favicon.ico', RedirectView.as_view(url=static('pins/icon.svg'))),
    path('art/<str:board>/<int:number>.svg', views.art, name='art'),
]
