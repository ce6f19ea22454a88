"""What people look at: contacts, scores, drafts, messages and previews, as plain values. Changes nothing."""
