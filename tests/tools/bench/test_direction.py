from tools.bench.direction.__main__ import main
from tools.bench.direction.heads import ORDERS


def test_the_composer_s_time_is_printed_and_the_orders_are_seven(capsys) -> None:
    main(["composer"])
    assert "ms a frame for 10000 events" in capsys.readouterr().out
    main(["what"])
    assert "tools.bench.direction" in capsys.readouterr().out
    assert len(ORDERS) == 7
