"""What people may send."""

from __future__ import annotations

from django import forms

from pins.models import Comment, Pin


class PinForm(forms.ModelForm):
    """A new pin."""

    class Meta:
        model = Pin
        fields = ('title', 'note', 'board')
        widgets = {'note': forms.Textarea(attrs={'rows': 3}), 'board': forms.RadioSelect()}

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        # Without the empty choice that Django puts first.
        self.fields['board'].choices = [choice for choice in self.fields['board'].choices if choice[0]]


class CommentForm(forms.ModelForm):
    """A new comment."""

    class Meta:
        model = Comment
        fields = ('text',)
        widgets = {
            'text': forms.TextInput(attrs={'placeholder': 'Say something kind', 'autocomplete': 'off'}),
        }
