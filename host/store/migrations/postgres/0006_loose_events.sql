-- Events that started no run, which no run takes along when it goes: those that nobody listened to.
CREATE INDEX event_loose ON event (received_at) WHERE run_ids = '';
